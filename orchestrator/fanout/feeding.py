"""Sends the controller's own copy to the few hosts that take from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from orchestrator.errors import HostError
from orchestrator.fanout.cargo import CHUNK
from orchestrator.ports import Conversation

_PIECE_BYTES = 64 * 1024
"""Small enough that a slow link takes other messages in between."""


class Feed:
    """One host's copy on its way, in a thread of its own."""

    def __init__(
        self,
        conversation: Conversation,
        attempt: int,
        units: Iterable[bytes],
        *,
        on_fault: Callable[[OSError], None],
    ) -> None:
        """Take the stream's units; `on_fault` hears, in that thread, when the file cannot be read."""
        self.sent_bytes = 0
        """Bytes of files that have been handed to the connection so far."""
        self._conversation = conversation
        self._attempt = attempt
        self._units = units
        self._on_fault = on_fault
        self._is_stopped = False
        threading.Thread(target=self._send, name="feed", daemon=True).start()

    def stop(self) -> None:
        """Send nothing more, soon."""
        self._is_stopped = True

    def _send(self) -> None:
        try:
            for piece, file_bytes in _pieces(self._units):
                if self._is_stopped:
                    return
                self._conversation.tell({"do": "piece", "attempt": self._attempt}, piece)
                self.sent_bytes += file_bytes
        except HostError:
            return  # the conversation has ended, and says so itself
        except OSError as error:
            self._on_fault(error)


def _pieces(units: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield what is sent at once, and how many bytes of it are files'."""
    gathered = bytearray()
    file_bytes = 0
    for unit in units:
        gathered += unit
        file_bytes += len(unit) - 1 if unit.startswith(CHUNK) else 0
        if len(gathered) >= _PIECE_BYTES:
            yield bytes(gathered), file_bytes
            gathered.clear()
            file_bytes = 0
    if gathered:
        yield bytes(gathered), file_bytes
