"""Read a log from its start and say what went wrong first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.diagnosis.catalogue import Catalogue, Entry, load_catalogue
from orchestrator.diagnosis.compiler_errors import match_error, plain_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A known failure, found in a log."""

    id: str
    cause: str
    fix: str
    command: str | None
    """What to type: to look closer, or to put it right."""
    line: str
    """The log's line that tells it, without colours."""
    line_number: int
    values: Mapping[str, str] = field(default_factory=dict)
    """What that line says: versions, ops, libraries."""


def diagnose(lines: Iterable[str], catalogue: Catalogue | None = None) -> Diagnosis | None:
    """Return the known failure that a log tells first; None when its first error is not in the catalogue.

    Reads no further than that error and keeps no lines. An unknown error of a compiler or linker ends the search:
    what comes after it may only follow from it.
    """
    matcher = _Matcher(catalogue or load_catalogue())
    for number, line in enumerate(plain_lines(lines), start=1):
        if matcher.is_noise(line):
            continue
        found = matcher.find(line)
        if found is not None:
            entry, values = found
            return _make_diagnosis(entry, values, line=line.strip(), line_number=number)
        if match_error(line):
            return None
    return None


class _Matcher:
    """A catalogue's patterns, compiled."""

    def __init__(self, catalogue: Catalogue) -> None:
        noise = [*catalogue.noise, *(pattern for entry in catalogue.entries for pattern in entry.noise)]
        errors = [(entry, pattern) for entry in catalogue.entries for pattern in entry.errors]
        self._noise = _any_of(noise)
        self._any_error = _any_of([pattern for _, pattern in errors])
        self._errors = [(entry, re.compile(pattern)) for entry, pattern in errors]

    def is_noise(self, line: str) -> bool:
        return self._noise.search(line) is not None

    def find(self, line: str) -> tuple[Entry, dict[str, str]] | None:
        if not self._any_error.search(line):
            return None
        matches = ((entry, pattern.search(line)) for entry, pattern in self._errors)
        return next(((entry, match.groupdict()) for entry, match in matches if match), None)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    """Return one pattern for all; groups lose their names, which may be there twice. Nothing fits no patterns."""
    nameless = [re.sub(r"\(\?P<\w+>", "(?:", pattern) for pattern in patterns]
    return re.compile("|".join(f"(?:{pattern})" for pattern in nameless) or r"(?!)")


def _make_diagnosis(entry: Entry, values: Mapping[str, str], *, line: str, line_number: int) -> Diagnosis:
    return Diagnosis(
        id=entry.id,
        cause=entry.cause.format_map(values),
        fix=entry.fix.format_map(values),
        command=entry.command and entry.command.format_map(values),
        line=line,
        line_number=line_number,
        values=values,
    )
