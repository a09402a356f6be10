"""An open agent session: the port `Remote`, written from a few primitives that a host and the controller share."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.errors import DsdeployError, HostError, TransferError
from orchestrator.model.wheels import Sha256
from orchestrator.ports import Command, Completed, Conversation
from orchestrator.remote.answers import error_in
from orchestrator.remote.conversation import WireConversation
from orchestrator.remote.files import Incoming, Outgoing
from orchestrator.remote.frames import Frame
from orchestrator.remote.wire import ConnectionLostError, Exchange, Wire

_TAIL_LINES = 200


class AgentSession:
    """One agent, asked over one wire. Safe to use from several threads."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def host(self) -> str:
        """The host's name; `controller` for the local one."""
        return self._wire.host

    def request(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        timeout_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - a JSON document
        """Ask the agent for one operation and return its result document.

        `on_event` runs in the caller's thread. Raises the DsdeployError that the agent's error names,
        HostError when the connection is lost or `timeout_s` pass without a result.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._asked(operation, parameters) as exchange:
            try:
                while "event" in (frame := _next_good(exchange, deadline)).header:
                    if on_event is not None:
                        on_event(frame.header)
            except TimeoutError as error:
                raise HostError(f"{self.host} did not answer `{operation}` within {timeout_s:g} s") from error
        return frame.header["result"]

    def converse(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[Any | DsdeployError], None],
    ) -> Conversation:
        """Start one operation and return at once; an answer may come even before that.

        `on_end` gets the result document or the error, exactly once and last. Both run in the thread that reads.
        Raises HostError, and never calls them, when the connection is lost already.
        """
        conversation = WireConversation(self._wire, on_event=on_event, on_end=on_end)
        with contextlib.suppress(ConnectionLostError):  # the thread that reads ends it
            self._wire.send({**parameters, "id": conversation.number, "op": operation})
        return conversation

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a command; a non-zero return code is a value, not an error."""
        tail: deque[str] = deque(maxlen=_TAIL_LINES)

        def take(event: Mapping[str, Any]) -> None:
            tail.append(event["text"])
            if on_line is not None:
                on_line(event["text"])

        parameters = {
            "argv": list(command.argv),
            "cwd": command.cwd,
            "env": dict(command.environment),
            "timeout_s": command.timeout_s,
        }
        result = self.request("run", parameters, on_event=take)
        return Completed(
            returncode=result["returncode"],
            elapsed_s=result["elapsed_s"],
            tail=tuple(tail),
            peak_memory_bytes=result.get("peak_memory_bytes"),
        )

    def put(
        self,
        source: Path | bytes,
        path: str,
        *,
        mode: int = 0o600,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write a file there; `on_progress` gets the bytes sent and their total after every chunk.

        Raises TransferError when what arrived is not what was sent, or found no room.
        """
        outgoing = Outgoing.of(source)
        parameters = {"path": path, "size": outgoing.size_bytes, "sha256": outgoing.sha256, "mode": mode}
        with self._asked("put", parameters) as exchange:
            sent_bytes = 0
            for chunk in outgoing.chunks():
                if exchange.has_answer:
                    break
                self._wire.send({"id": exchange.number, "chunk": True}, chunk)
                sent_bytes += len(chunk)
                if on_progress is not None:
                    on_progress(sent_bytes, outgoing.size_bytes)
            if sent_bytes != outgoing.size_bytes and not exchange.has_answer:
                raise TransferError(f"{source!r} changed while it was sent")
            _next_good(exchange)

    def get(self, path: str, target: Path) -> Sha256:
        """Copy a file here: to a temporary name, hashed on arrival, then renamed. Returns its digest.

        Raises TransferError when what arrived is not what was sent.
        """
        with Incoming.open(target) as incoming, self._asked("get", {"path": path}) as exchange:
            while "event" in (frame := _next_good(exchange)).header:
                incoming.add(frame.payload)
            return incoming.check(sha256=frame.header["result"]["sha256"])

    @contextmanager
    def workspace(self) -> Iterator[str]:
        """Make a private folder on that machine, removed at the end, and also when the connection is lost."""
        path = self.request("workspace", {})["path"]
        try:
            yield path
        finally:
            with contextlib.suppress(ConnectionLostError):
                self.request("discard", {"path": path})

    def close(self) -> None:
        """End the session; what is still asked fails with HostError."""
        self._wire.close()

    @contextmanager
    def _asked(self, operation: str, parameters: Mapping[str, Any]) -> Iterator[Exchange]:
        """Send a request; whoever leaves before its end cancels it."""
        with self._wire.exchange() as exchange:
            try:
                self._wire.send({**parameters, "id": exchange.number, "op": operation})
                yield exchange
            finally:
                if not exchange.is_over:
                    self._wire.cancel(exchange.number)


def _next_good(exchange: Exchange, deadline: float | None = None) -> Frame:
    """Return the next event, or the result. Raises the error that the agent sends instead."""
    frame = exchange.next(deadline=deadline)
    error = error_in(frame)
    if error is not None:
        raise error
    return frame
