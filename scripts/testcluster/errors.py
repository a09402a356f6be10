"""The one error of the test cluster: what is wrong, and what to do about it."""

from __future__ import annotations


class ClusterError(Exception):
    """Something that the caller can understand and change."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
