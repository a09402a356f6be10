"""Say what went wrong in a log: the known causes, best first, or the first error where it is not known."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO

from orchestrator.diagnosis.catalogue import Catalogue, Confidence, load_catalogue
from orchestrator.diagnosis.evidence import Evidence, Finding, LogLine
from orchestrator.diagnosis.log_lines import LogLines
from orchestrator.diagnosis.matching import Matcher

_MOST_CAUSES = 5


class Verdict(str, Enum):
    """What a log comes to."""

    FAILURE = "failure"
    """Something failed, and the catalogue knows it."""
    UNKNOWN = "unknown"
    """Something failed that the catalogue does not know."""
    NO_FAILURE = "no-failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A known failure, found in a log."""

    id: str
    confidence: Confidence
    cause: str
    fix: str
    command: str | None
    """What to type: to look closer, or to put it right."""
    link: str | None
    values: Mapping[str, str] = field(default_factory=dict)
    """What the log says of it: versions, ops, libraries."""
    lines: tuple[LogLine, ...]
    """Where the log says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a log says."""

    verdict: Verdict
    causes: tuple[Cause, ...] = ()
    """Best first; of those after the first, any may follow from it."""
    first_error: tuple[LogLine, ...] = ()
    """Where nothing is known: the first lines that look like an error."""


def explain_log(stream: BinaryIO, catalogue: Catalogue | None = None) -> Explanation:
    """Read a log of any size and encoding to its end, in bounded memory, and say what went wrong first.

    Never fails because of what the log holds; *raises* OSError where the stream cannot be read.
    """
    known = catalogue or load_catalogue()
    evidence = Evidence(Matcher(known))
    lines = LogLines(stream, _encoded(known.words), _encoded(known.context_words))
    for passage in lines:
        evidence.look_at(passage)
    evidence.close(lines.tail)
    return _conclude(evidence)


def diagnose(text: str, catalogue: Catalogue | None = None) -> Cause | None:
    """Return the best known cause that a text tells: pip's last lines, an op's error; None when it tells none."""
    return next(iter(explain_log(io.BytesIO(text.encode(errors="replace")), catalogue).causes), None)


def _encoded(words: tuple[str, ...]) -> list[bytes]:
    return [word.encode() for word in words]


def _conclude(evidence: Evidence) -> Explanation:
    findings = evidence.findings()
    if findings:
        causes = tuple(_cause(finding) for finding in findings[:_MOST_CAUSES])
        return Explanation(verdict=Verdict.FAILURE, causes=causes)
    if evidence.ended_well or not evidence.something_failed:
        return Explanation(verdict=Verdict.NO_FAILURE)
    return Explanation(verdict=Verdict.UNKNOWN, first_error=evidence.first_error)


def _cause(finding: Finding) -> Cause:
    entry, values = finding.entry, finding.values
    return Cause(
        id=entry.id,
        confidence=finding.confidence,
        cause=entry.cause.format_map(values),
        fix=entry.fix.format_map(values),
        command=entry.command and entry.command.format_map(values),
        link=entry.link,
        values=values,
        lines=finding.lines,
    )
