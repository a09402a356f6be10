"""Takes the files of a cargo from one source at a time, and serves what is here to other hosts of the run.

Who takes from whom is decided by the controller, in messages; the files, their chunks and digests are in the request.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import time

from .errors import AgentError
from .relay_holding import Holding
from .relay_serving import Serving
from .relay_source import Source
from .relay_tls import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from .request import Request

_TICK_S = 0.2
"""How exact every other time is: heartbeats, patience, and how often progress is told at most."""
_SIGN_OF_LIFE_S = 0.8
_ANY_PORT = range(1)


def relay(request: Request) -> dict[str, int]:
    """Relay until told to finish; return how many bytes are held, were received, and were served.

    Raises AgentError (transfer) when this host's disk does not take or give the files.
    """
    with contextlib.ExitStack() as stack:
        return Relay(request, stack).run()


class Relay:
    """One loop in one thread does everything but write to disk; nothing in it waits but for all at once."""

    def __init__(self, request: Request, stack: contextlib.ExitStack) -> None:
        self._request = request
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._bell, self._rung = (stack.enter_context(end) for end in socket.socketpair())
        for end in (self._bell, self._rung):
            end.settimeout(0)
        self._selector.register(self._rung, selectors.EVENT_READ, lambda _mask: self._rung.recv(1 << 12))
        request.messages.on_change = self._wake
        self._holding = Holding(request, self._wake)
        stack.callback(self._holding.close)
        self._identity: Identity | None = None
        self._port: int | None = None
        self._port_error: str | None = None
        self._serving = Serving(self._holding, self._selector)
        stack.callback(self._serving.close)
        self._source = Source(request, self._holding, self._introduce, self._selector)
        stack.callback(self._source.leave)
        self._address = (os.environ.get("SSH_CONNECTION", "").split() + ["127.0.0.1"] * 3)[2]
        self._looking: Iterator[None] = self._holding.look()
        self._is_looking = True
        self._is_ready = self._is_told_whole = self._is_finished = False
        self._told = (0, 0)
        self._told_at = self._ticked_at = time.monotonic()

    def run(self) -> dict[str, int]:
        """Go round until told to finish."""
        while not self._is_finished:
            self._holding.check()
            if self._request.messages.is_closed:
                raise AgentError("host", "relay was cancelled")
            self._look_on()
            self._take_messages()
            self._source.resume()
            self._serving.pump()
            self._tell_progress()
            wait_s = 0 if self._is_looking else self._ticked_at + _TICK_S - time.monotonic()
            for key, mask in self._selector.select(max(wait_s, 0)):
                if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]  # a socket, unless what came before closed it
                    key.data(mask)
            self._tick()
        return {
            "held_bytes": self._holding.held_bytes,
            "received_bytes": self._holding.received_bytes,
            "served_bytes": self._serving.served_bytes,
        }

    def _wake(self) -> None:
        """Let the loop go round once more; any thread may."""
        with contextlib.suppress(OSError):  # it has been woken already, or is no more
            self._bell.send(b".")

    def _look_on(self) -> None:
        if not self._is_looking:
            return
        with contextlib.suppress(StopIteration):
            next(self._looking)
            return
        self._is_looking = False
        if not self._is_ready:
            self._holding.check_room()
        if not self._holding.is_complete:
            self._listen()
        self._tell_ready()

    def _take_messages(self) -> None:
        while self._holding.has_room() and (told := self._request.messages.take()) is not None:
            message, payload = told
            what = message.get("do")
            if what == "pull":
                self._source.pull(message)
            elif what == "feed":
                self._source.feed(message)
            elif what == "piece":
                self._source.take_piece(message, payload)
            elif what == "look":
                self._looking = itertools.chain(self._looking, self._holding.look())
                self._is_looking = True
            elif what == "listen":
                self._listen()
                self._tell_ready()
            elif what == "finish":
                self._is_finished = True
            else:
                raise AgentError("usage", f"relay cannot {what!r}")

    def _listen(self) -> None:
        ports = self._request.optional("ports", list)
        allowed = _ANY_PORT if ports is None else range(ports[0], ports[1] + 1)
        try:
            self._port = self._serving.listen(self._introduce(), self._address, allowed)
            self._port_error = None
        except OSError as error:
            self._port_error = error.strerror or str(error)

    def _introduce(self) -> Identity:
        """Return who this host is among the others of the run. Raises OSError when it cannot be one of them."""
        if self._identity is None:
            tls = self._request.value("tls", dict)
            self._identity = Identity(tls["authority"], tls["certificate"], tls["key"], self._request.cache.folder)
        return self._identity

    def _tell_ready(self) -> None:
        self._is_ready = True
        self._request.event(
            "ready",
            held_bytes=self._holding.held_bytes,
            total_bytes=self._holding.layout.total_bytes,
            address=self._address,
            port=self._port,
            port_error=self._port_error,
            filesystem_id=self._request.cache.filesystem_id(),
        )

    def _tell_progress(self) -> None:
        if self._holding.is_complete:
            self._source.leave()
        if not self._is_ready:
            return
        if self._holding.is_whole and not self._is_told_whole:
            self._is_told_whole = True
            self._tell_at()
            self._request.event("whole")

    def _tell_at(self) -> None:
        self._told = self._holding.held_bytes, self._serving.served_bytes
        self._told_at = time.monotonic()
        self._request.event("at", held_bytes=self._told[0], served_bytes=self._told[1])

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._ticked_at + _TICK_S:
            return
        self._ticked_at = now
        self._holding.flush()
        self._source.tick(now)
        self._serving.tick(now)
        is_new = self._told != (self._holding.held_bytes, self._serving.served_bytes)
        tell_every_s = (self._request.seconds("tell_every_s") or 0.0) if is_new else _SIGN_OF_LIFE_S
        if self._is_ready and now - self._told_at >= tell_every_s:
            self._tell_at()
