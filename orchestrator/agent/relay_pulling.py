"""Takes chunks from one peer, until there are no more to take or the peer fails."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time

from .relay_stream import Intake, WrongBytesError, encode_wish
from .relay_tls import StrangerError, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .relay_holding import Holding
    from .relay_tls import Identity, Link

_CONNECT_S = 2.5
_HANDSHAKE_S = 3.0
_SILENCE_S = 3.5
_RECEIVE_BYTES = 1 << 18
_UNREACHABLE = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM)


class Loss(Exception):  # noqa: N818 - what becomes of a source; the relay goes on
    """Why a source gives nothing any more: `reason` is the protocol's word."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class Pull:
    """A connection to the peer that `order` names; `on_loss` is called at most once, and it is closed then."""

    def __init__(
        self,
        order: dict[str, Any],
        holding: Holding,
        identity: Identity,
        selector: selectors.BaseSelector,
        on_loss: Callable[[Loss], None],
    ) -> None:
        self._address: str = order["address"]
        self._port: int = order["port"]
        self._certificate_sha256: str = order["certificate_sha256"]
        self._holding = holding
        self._identity = identity
        self._selector = selector
        self._on_loss = on_loss
        self._link: Link | None = None
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._intake: Intake | None = None
        self._limit_s = _CONNECT_S
        self._heard_at = time.monotonic()
        self._is_paused = False
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._connection = socket.socket(family, socket.SOCK_STREAM)

    def start(self) -> None:
        """Begin to connect."""
        watch(self._connection)
        self._selector.register(self._connection, selectors.EVENT_WRITE, self._on_ready)
        self._try(self._connect)

    def resume(self) -> None:
        """Go on after a pause, if there is room again."""
        if self._is_paused and self._holding.has_room():
            self._is_paused = False
            self._heard_at = time.monotonic()
            self._selector.register(self._connection, selectors.EVENT_READ, self._on_ready)
            self._try(self._drain)

    def tick(self, now: float) -> None:
        """Notice signs of life, which alone wake nobody, and silence."""
        if self._intake is not None and not self._is_paused:
            self._try(self._arrived)
        if not self._is_paused and now - self._heard_at > self._limit_s:
            self._try(self._give_up)

    def close(self) -> None:
        """Hang up."""
        if self._connection.fileno() >= 0 and not self._is_paused:
            self._selector.unregister(self._connection)
        self._connection.close()

    def _try(self, step: Callable[[], None]) -> None:
        if self._connection.fileno() < 0:
            return
        try:
            step()
        except Loss as loss:
            self._lose(loss)
        except WrongBytesError as error:
            self._lose(Loss("wrong-bytes", str(error)))
        except StrangerError as error:
            self._lose(Loss("stranger", str(error)))
        except OSError as error:
            self._lose(_loss_of(error))

    def _lose(self, loss: Loss) -> None:
        self.close()
        self._on_loss(loss)

    def _give_up(self) -> None:
        reason = "unreachable" if self._link is None else "silent"
        raise Loss(reason, f"nothing came for {self._limit_s:g} s")

    def _on_ready(self, _mask: int) -> None:
        self._try(self._connected if self._link is None else self._arrived)

    def _connect(self) -> None:
        # Bytes, because text would import IDNA.
        found = socket.getaddrinfo(
            self._address.encode(), self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
        target = found[0][4]
        code = self._connection.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))

    def _connected(self) -> None:
        code = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._link = self._identity.as_child(self._connection)
        self._limit_s = _HANDSHAKE_S
        self._heard_at = time.monotonic()
        self._selector.modify(self._connection, selectors.EVENT_READ, self._on_ready)
        self._link.shake()

    def _arrived(self) -> None:
        assert self._link is not None
        if not self._link.receive(self._buffer):
            return
        self._heard_at = time.monotonic()
        if self._intake is None:
            if not self._link.shake():
                return
            self._ask(self._link)
        self._drain()

    def _ask(self, link: Link) -> None:
        found = link.peer_sha256()
        if found != self._certificate_sha256:
            raise Loss("stranger", f"its certificate has sha256 {found}, not {self._certificate_sha256}")
        lacking = self._holding.lacking()
        self._intake = Intake(self._holding, lacking)
        self._limit_s = _SILENCE_S
        link.write(encode_wish(lacking))
        link.flush()

    def _drain(self) -> None:
        """Take what was received, as long as there is room for it."""
        link, intake = self._link, self._intake
        assert link is not None
        assert intake is not None
        while self._holding.has_room():
            count = link.read(intake.room())
            if not count:
                link.await_readable(len(intake.room()))
                return
            intake.filled(count)
        self._is_paused = True
        self._selector.unregister(self._connection)


def _loss_of(error: OSError) -> Loss:
    text = error.strerror or str(error)
    if error.errno == errno.ECONNREFUSED:
        return Loss("refused", text)
    if error.errno in _UNREACHABLE or isinstance(error, socket.gaierror):
        return Loss("unreachable", text)
    return Loss("closed", text)
