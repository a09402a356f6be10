"""The two ends of a session between the controller and a simulated agent, in memory."""

from __future__ import annotations

import threading

_WINDOW_BYTES = 1 << 20
"""What the agent need not have read yet, as in an SSH channel."""


class MemoryChannel:
    """The protocol Channel; the agent's end are the methods below `close`, for one other thread."""

    def __init__(self) -> None:
        self.last_words = ""
        self.has_hung_up = False
        """Whether the controller has ended the agent's input."""
        self._to_agent = bytearray()
        self._to_controller = bytearray()
        self._is_ended = False
        self._is_closed = False
        self._changed = threading.Condition(threading.Lock())

    def send(self, content: bytes) -> None:
        with self._changed:
            self._to_agent += content
            self._changed.wait_for(lambda: self._is_broken or len(self._to_agent) <= _WINDOW_BYTES)
            if self._is_broken:
                raise BrokenPipeError("the session is over")

    def receive(self, limit: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._is_broken or self._to_controller)
            piece = bytes(self._to_controller[:limit])
            del self._to_controller[:limit]
            return b"" if self._is_closed else piece

    def end_input(self) -> None:
        self.has_hung_up = True

    def close(self) -> None:
        with self._changed:
            self.has_hung_up = self._is_closed = True
            self._changed.notify_all()

    def take(self, limit: int) -> bytes:
        """Return what the controller sent, at most `limit` bytes; never waits."""
        if not self._to_agent:
            return b""
        with self._changed:
            piece = bytes(self._to_agent[:limit])
            del self._to_agent[:limit]
            self._changed.notify_all()
            return piece

    def put(self, content: bytes) -> None:
        """Send to the controller; never waits."""
        with self._changed:
            self._to_controller += content
            self._changed.notify_all()

    def end(self, words: str = "") -> None:
        """End the session from the agent's side."""
        with self._changed:
            self.last_words = words
            self._is_ended = True
            self._changed.notify_all()

    @property
    def is_unread(self) -> bool:
        """Whether the controller has yet to read something."""
        return bool(self._to_controller) and not self._is_closed

    @property
    def _is_broken(self) -> bool:
        return self._is_ended or self._is_closed
