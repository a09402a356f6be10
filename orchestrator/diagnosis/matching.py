"""The catalogue's expressions, compiled, and how they are held against a line and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.diagnosis.catalogue import Catalogue, Entry, Sign

_WRAPS_FROM = 55
"""Narrower lines are not broken within a word."""
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\(\?[a-z]+\)|\((?:\?(?:P<\w+>|<?[:=!]))?|\{\d*,?\d*\}|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One sign of one entry."""

    entry: Entry
    sign: Sign
    pattern: re.Pattern[str]
    needles: tuple[str, ...]
    """Every text that fits holds one of them; one is empty where that cannot be told."""

    @property
    def is_conditional(self) -> bool:
        """Whether it may turn out not to count."""
        return bool(self.sign.needs or self.sign.unless)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule that fits."""

    rule: Rule
    match: re.Match[str]
    lines_before: int = 0
    """How many lines before this one what fits begins."""
    lines_after: int = 0
    """How many lines after this one it ends."""


class Matcher:
    """A catalogue's expressions."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.rules = [_rule(entry, sign) for entry in catalogue.entries for sign in entry.all_signs]
        self.endings = [_rule(entry, sign) for entry in catalogue.entries for sign in entry.endings]
        self.noise = [(entry, any_of(entry.noise)) for entry in catalogue.entries if entry.noise]
        self.wanted = [(entry, re.compile(entry.wanted)) for entry in catalogue.entries if entry.wanted]
        self.contexts = {name: re.compile(pattern) for name, pattern in catalogue.contexts.items()}
        self.never = any_of(catalogue.never)
        self.follows = any_of(catalogue.follows)
        self.fails = any_of(catalogue.fails)
        self.succeeds = any_of(catalogue.succeeds)

    def hits(self, text: str) -> list[Hit]:
        """Return the rules that fit a line: conditional ones, and at the end the first that is not."""
        return [Hit(rule=rule, match=match) for rule, match in self._search(text, 0, len(text))]

    def wrapped_hits(self, before: Sequence[str], text: str, after: Sequence[str]) -> list[Hit]:
        """Return the rules that fit a line only together with lines around it, over which a phrase was wrapped."""
        for gap in (" ", "") if max(map(len, (*before[-1:], text))) >= _WRAPS_FROM else (" ",):
            head, tail = (gap.join(lines) for lines in ((*before, ""), ("", *after)))
            end = len(head) + len(text)
            found = list(self._search(head + text + tail, len(head), end))
            if found:
                return [
                    Hit(
                        rule=rule,
                        match=match,
                        lines_before=_lines_within(before[::-1], len(head) - match.start(), len(gap)),
                        lines_after=_lines_within(after, match.end() - end, len(gap)),
                    )
                    for rule, match in found
                ]
        return []

    def _search(self, text: str, start: int, end: int) -> Iterator[tuple[Rule, re.Match[str]]]:
        """Yield what fits and is in part between `start` and `end`."""
        for rule in self.rules:
            match = rule.pattern.search(text) if any(map(text.__contains__, rule.needles)) else None
            if match is None or match.end() <= start or match.start() >= end:
                continue
            yield rule, match
            if not rule.is_conditional:
                return


def _lines_within(lines: Sequence[str], reach: int, gap: int) -> int:
    """Count the lines that so many characters reach into."""
    count = 0
    while reach > gap * (count > 0) and count < len(lines):
        reach -= len(lines[count]) + gap
        count += 1
    return count


def any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return one expression for all; nothing fits none. Those that ignore case, by `(?i)`, still do."""
    alternatives = [f"(?i:{each[4:]})" if each.startswith("(?i)") else f"(?:{each})" for each in patterns]
    return re.compile("|".join(alternatives) or r"(?!)")


def needles_of(pattern: str) -> tuple[str, ...]:
    """Return texts of which whatever fits an expression must hold one, as far as a look at its letters tells.

    There is one for each alternative: its longest text outside of groups, empty where letters of any case fit.
    """
    found, runs, depth = [], [""], 0
    for part in _PARTS.findall(pattern):
        depth += part.startswith("(") - (part == ")")
        is_letter = (len(part) == 1 and part not in "()[]{}|?*+.^$") or (part[0] == "\\" and not part[1].isalnum())
        if depth:
            runs.append("")
        elif part == "|":
            found.append(max(runs, key=len))
            runs = [""]
        elif is_letter:
            runs[-1] += part[-1]
        else:
            runs = [*runs[:-1], runs[-1][:-1] if part[0] in "?*{" else runs[-1], ""]
    return ("",) if pattern.startswith("(?i") else (*found, max(runs, key=len))


def _rule(entry: Entry, sign: Sign) -> Rule:
    return Rule(entry=entry, sign=sign, pattern=re.compile(sign.match), needles=needles_of(sign.match))
