"""Gather from a log's lines what speaks for which failure, and weigh it when the log is at its end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.diagnosis.catalogue import Confidence, Entry
from orchestrator.diagnosis.compiler_errors import match_error
from orchestrator.diagnosis.log_lines import Passage
from orchestrator.diagnosis.matching import Hit, Matcher, Rule
from orchestrator.diagnosis.plain_text import loose, shown

_LONGEST_SHOWN = 300
_MOST_LINES = 6
"""Lines that are shown for one cause."""
_BLOCK = (3, 5)
"""Lines before and after an error that are shown with it."""
_TRACEBACK = 14
"""Lines before an exception that may be its traceback."""
_ENDING = 40
_WIDEST = 240
"""Wider lines were not wrapped by a terminal."""
_WRAPPED = 2
"""Lines before and after over which a phrase may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a log as it is shown; numbers count the file's lines from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An entry that the log speaks for."""

    entry: Entry
    confidence: Confidence
    values: Mapping[str, str]
    lines: tuple[LogLine, ...]
    position: float
    """Orders what was found by where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    """A line that looks like an error and that no rule explains for sure."""

    position: int
    rules: tuple[Rule, ...]
    """If one of them holds in the end, it was known after all."""
    lines: tuple[LogLine, ...]
    is_compilers: bool


class Evidence:
    """What was seen so far of one log."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._position = 0
        self._contexts: set[str] = set()
        self._wanted: set[str] = set()
        self._hits: dict[int, tuple[Hit, int, tuple[LogLine, ...]]] = {}
        self._noise: dict[str, tuple[int, LogLine]] = {}
        self._errors: list[_Error] = []
        self._kinds: set[tuple[object, ...]] = set()
        self._follows: tuple[LogLine, ...] = ()
        self._endings: list[Finding] = []
        self.something_failed = False
        """Whether any line says that something went wrong, whatever it was."""
        self.ended_well = False

    def look_at(self, passage: Passage) -> None:
        """Take in one passage of the log; they must come in order."""
        for piece in passage.pieces:
            text = loose(piece)
            self._position += 1
            self._note_contexts(text)
            if self._matcher.never.search(text):
                continue
            hits = self._matcher.hits(text)
            if not hits and self._note_noise(text, passage.number, piece):
                continue
            hits = hits or self._wrapped_hits(text, passage)
            for hit in hits:
                self._hits.setdefault(id(hit.rule), (hit, self._position, _matched_lines(hit, passage, piece)))
            if not hits or hits[-1].rule.is_conditional:
                self._note_error(text, passage, [hit.rule for hit in hits])

    def close(self, tail: Sequence[tuple[int, bytes]]) -> None:
        """Take in how the log ends."""
        last = [(number, line, loose(line)) for number, line in tail[-_ENDING:] if line.strip()]
        self.ended_well = self._ends_well([text for _, _, text in last])
        text = "\n".join(each for _, _, each in last)
        for rule in self._matcher.endings:
            match = rule.pattern.search(text)
            if match and self._holds(rule):
                index = text.count("\n", 0, match.start())
                number, line, _ = last[index]
                lines = (_line(number, line),)
                self._endings.append(_finding(rule, match.groupdict(), lines, position=math.inf))

    def findings(self) -> list[Finding]:
        """Return what the log speaks for, best first: what stands first in it, unless it usually follows."""
        found = sorted(self._found(), key=lambda finding: finding.position)
        sure = [each for each in found if each.confidence is not Confidence.POSSIBLE]
        errors = self._unexplained()
        unknown = min((error.position for error in errors), default=math.inf)
        broken = min((error.position for error in errors if error.is_compilers), default=math.inf)
        strong = [each for each in sure if not each.entry.yields and each.position < broken]
        if strong:
            first = strong[0]
            if unknown < first.position and first.confidence is Confidence.CERTAIN:
                first = replace(first, confidence=Confidence.LIKELY)
            return [first, *(replace(each, confidence=Confidence.POSSIBLE) for each in strong[1:])]
        silent = [each for each in sure if each.entry.silent and unknown == math.inf]
        loud = [each for each in sure if not each.entry.silent and each.position < unknown and not self.ended_well]
        weak = [each for each in loud if each.entry.yields] + [each for each in silent if each.entry.yields]
        if weak or self.ended_well or errors:
            return weak
        return [each for each in found if each.confidence is Confidence.POSSIBLE] or self._endings

    @property
    def first_error(self) -> tuple[LogLine, ...]:
        """The first lines that look like an error which nothing explains, or that say that something failed."""
        errors = self._unexplained()
        return errors[0].lines if errors else self._follows

    def _note_contexts(self, text: str) -> None:
        for name, pattern in self._matcher.contexts.items():
            if name not in self._contexts and pattern.search(text):
                self._contexts.add(name)
        for entry, pattern in self._matcher.wanted:
            if entry.id not in self._wanted and pattern.search(text):
                self._wanted.add(entry.id)

    def _note_noise(self, text: str, number: int, piece: bytes) -> bool:
        entry = next((entry for entry, pattern in self._matcher.noise if pattern.search(text)), None)
        if entry is not None:
            self._noise.setdefault(entry.id, (self._position, _line(number, piece)))
        return entry is not None

    def _wrapped_hits(self, text: str, passage: Passage) -> list[Hit]:
        if len(text) > _WIDEST:
            return []
        before, after = (
            [loose(line[: 2 * _WIDEST]) for number, line in passage.around(*reach) if number != passage.number]
            for reach in ((_WRAPPED, 0), (0, _WRAPPED))
        )
        return self._matcher.wrapped_hits(before, text, after)

    def _note_error(self, text: str, passage: Passage, rules: list[Rule]) -> None:
        if self._matcher.follows.search(text):
            self.something_failed = True
            self._follows = self._follows or _block(passage)
            return
        is_compilers = match_error(text) is not None
        if not (is_compilers or self._matcher.fails.search(text)):
            return
        self.something_failed = True
        kind = (is_compilers, *(id(rule) for rule in rules))
        if kind not in self._kinds:
            self._kinds.add(kind)
            error = _Error(
                position=self._position, rules=tuple(rules), lines=_block(passage), is_compilers=is_compilers
            )
            self._errors.append(error)

    def _ends_well(self, texts: Sequence[str]) -> bool:
        """Say whether the last words are those of a success, and nothing failed after it."""
        for text in reversed(texts):
            if self._matcher.succeeds.search(text):
                return True
            if self._matcher.never.search(text):
                continue
            if self._matcher.follows.search(text) or self._matcher.fails.search(text) or match_error(text):
                return False
        return False

    def _holds(self, rule: Rule) -> bool:
        return self._contexts.issuperset(rule.sign.needs) and self._contexts.isdisjoint(rule.sign.unless)

    def _unexplained(self) -> list[_Error]:
        return [error for error in self._errors if not any(map(self._holds, error.rules))]

    def _found(self) -> list[Finding]:
        """Return the entries that hold: on each line the first of the catalogue, each entry once."""
        by_position: dict[int, Finding] = {}
        for hit, position, lines in self._hits.values():
            if self._holds(hit.rule) and position not in by_position:
                by_position[position] = _finding(hit.rule, hit.match.groupdict(), lines, position=position)
        in_lines = list(by_position.values())
        found = [*in_lines, *self._wanted_noise(in_lines)]
        ids = dict.fromkeys(finding.entry.id for finding in found)
        merged = [_merged([each for each in found if each.entry.id == one]) for one in ids]
        return [_insisting(each) if each.entry.id in self._wanted else each for each in merged]

    def _wanted_noise(self, found: Sequence[Finding]) -> Iterator[Finding]:
        """Yield what is no noise in this log: its op was asked for, or comes right after a line that misses the op."""
        missed = {finding.values["op"]: finding.position for finding in found if "op" in finding.values}
        for entry, _ in self._matcher.noise:
            if entry.id not in self._noise:
                continue
            position, line = self._noise[entry.id]
            where = position if entry.id in self._wanted else missed.get(entry.op or "")
            if where is not None:
                yield Finding(
                    entry=replace(entry, yields=True),
                    confidence=Confidence.LIKELY,
                    values={},
                    lines=(line,),
                    position=where + 0.5,
                )


def _finding(rule: Rule, values: Mapping[str, str | None], lines: tuple[LogLine, ...], *, position: float) -> Finding:
    given = {name: value for name, value in values.items() if value is not None}
    return Finding(entry=rule.entry, confidence=rule.sign.confidence, values=given, lines=lines, position=position)


def _insisting(finding: Finding) -> Finding:
    """Return a finding that no longer yields: what it is about was asked for."""
    return replace(finding, entry=replace(finding.entry, yields=False))


def _merged(findings: Sequence[Finding]) -> Finding:
    """Return one entry's findings as one: where it stood first, with the best that any line proves."""
    ordered = sorted(findings, key=lambda finding: finding.position)
    best = min(ordered, key=lambda finding: list(Confidence).index(finding.confidence))
    lines = dict.fromkeys(line for finding in ordered for line in finding.lines)
    return replace(
        best,
        position=ordered[0].position,
        lines=tuple(lines)[:_MOST_LINES],
    )


def _matched_lines(hit: Hit, passage: Passage, piece: bytes) -> tuple[LogLine, ...]:
    around = passage.around(hit.lines_before, hit.lines_after)
    lines = [_line(number, piece if number == passage.number else line) for number, line in around]
    return tuple(line for line in lines if line.text)


def _block(passage: Passage) -> tuple[LogLine, ...]:
    """Return an error with the lines that belong to it: up to the empty ones, and a traceback from its start."""
    before, after = _BLOCK
    lines = [_line(number, line) for number, line in passage.around(_TRACEBACK, after)]
    here = next(index for index, line in enumerate(lines) if line.number == passage.number)
    starts = [index for index in range(here) if "Traceback (most recent call last)" in lines[index].text]
    first = starts[-1] if starts else max(0, here - before)
    empty = [index for index, line in enumerate(lines) if not line.text]
    first = max([first, *(index + 1 for index in empty if index < here)])
    last = min([len(lines), *(index for index in empty if index > here)])
    return tuple(lines[first:last])


def _line(number: int, line: bytes) -> LogLine:
    return LogLine(number=number, text=shown(line[: 4 * _LONGEST_SHOWN])[:_LONGEST_SHOWN])
