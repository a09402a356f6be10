"""An operation that goes on: what the agent says of it is passed on at once, in the thread that reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import DsdeployError
from orchestrator.remote.answers import error_in
from orchestrator.remote.frames import Frame
from orchestrator.remote.wire import ConnectionLostError, Wire


class WireConversation:
    """The port `Conversation` over a wire, which holds it until its end."""

    def __init__(
        self,
        wire: Wire,
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[Any | DsdeployError], None],
    ) -> None:
        """Wait for answers from now on. Raises ConnectionLostError when there can be none."""
        self._wire = wire
        self._on_event = on_event
        self._on_end = on_end
        self._is_over = False
        self.number = wire.listen(self)

    def tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send a message, and raw bytes with it; dropped when the operation has ended.

        Raises ConnectionLostError.
        """
        if not self._is_over:
            self._wire.send({"id": self.number, "tell": message}, payload)

    def cancel(self) -> None:
        """Ask the agent to give up the operation; never raises."""
        if not self._is_over:
            self._wire.cancel(self.number)

    def take(self, answer: Frame) -> None:
        """Pass on what the agent said; after a result or an error the wire lets go of this."""
        if "event" in answer.header:
            self._on_event(answer.header)
            return
        self._is_over = True
        self._wire.forget(self.number)
        error = error_in(answer)
        self._on_end(answer.header["result"] if error is None else error)

    def lose(self, error: ConnectionLostError) -> None:
        """Tell that nothing more will come."""
        self._on_end(error)
