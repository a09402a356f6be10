"""What ends the benchmark early."""

from __future__ import annotations


class BenchError(Exception):
    """Something that must work did not; the message says what."""
