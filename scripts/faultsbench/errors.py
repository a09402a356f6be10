"""What ends the benchmark early, or one cell of it."""

from __future__ import annotations


class BenchError(Exception):
    """Something that must work did not; the message says what."""


class NotReachedError(BenchError):
    """A run ended, or time did, before it came to the step that was waited for."""
