"""Duplex byte channels to an agent: what a session needs of SSH, or of a local process."""

from __future__ import annotations

from typing import Protocol

WORDS_BYTES = 8192
"""How much of an agent's standard error is worth keeping."""


class Channel(Protocol):
    """Bytes to the agent's standard input and from its standard output."""

    def send(self, content: bytes) -> None:
        """Send all of it; blocks while the agent does not read. Raises OSError once the channel is broken."""
        ...

    def receive(self, limit: int) -> bytes:
        """Wait for bytes and return at most `limit` of them; none at the end, however it came."""
        ...

    def end_input(self) -> None:
        """Close the agent's standard input: it cleans up and ends."""
        ...

    def close(self) -> None:
        """Give everything back, also a second time; a `send` or `receive` that blocks ends."""
        ...

    @property
    def last_words(self) -> str:
        """The last line that came on standard error; empty without one."""
        ...


def last_line(text: bytes) -> str:
    """Return the last line that is not blank; empty without one."""
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
