"""Collect the faults of one file, to tell them all at once."""

from __future__ import annotations

from orchestrator.errors import ConfigError, ConfigFault


class Faults:
    """What is wrong with one source (a file, or an option), in the order found."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[ConfigFault] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, line: int | None, message: str) -> None:
        """Take one fault; `line` counts from 1."""
        self._found.append(ConfigFault(source=self._source, line=line, message=message))

    def raise_any(self, *, hint: str | None = None) -> None:
        """Raise ConfigError with all of them by line; return when there are none."""
        if self._found:
            raise ConfigError(tuple(sorted(self._found, key=lambda fault: fault.line or 0)), hint=hint)
