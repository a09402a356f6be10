"""Expand host ranges: `worker-[0-3]`, `rack[1-2]-node[08-11,20]`, as pdsh and ClusterShell write them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable

from orchestrator.config.names import fault_of_host, quoted

MAX_NAMES = 65_536
"""More hosts than any cluster has: past this a range is a slip of the pen."""

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


class RangeError(ValueError):
    """A name with brackets is no range; the text says why."""


def expand_names(pattern: str, complain: Callable[[str], None]) -> tuple[str, ...]:
    """Return the hosts that a pattern names; `complain` is told when it is no range, or they are no hosts' names."""
    try:
        names = expand_range(pattern)
    except RangeError as error:
        complain(f"{quoted(pattern)}: {error}")
        return ()
    fault = fault_of_host(names[0])
    if fault:
        complain(fault)
    return names


def expand_range(pattern: str) -> tuple[str, ...]:
    """Return the names that a pattern stands for, in the order written; without brackets, the pattern itself.

    Zeros in front are kept: `node[08-10]` is node08, node09, node10.
    Raises RangeError.
    """
    literals_and_bodies = _BRACKETS.split(pattern)
    if any(set(literal) & {"[", "]"} for literal in literals_and_bodies[::2]):
        raise RangeError("its brackets do not pair up")
    spans = [[_parse_span(part) for part in body.split(",")] for body in literals_and_bodies[1::2]]
    count = math.prod(sum(last - first + 1 for first, last, _ in body) for body in spans)
    if count > MAX_NAMES:
        raise RangeError(f"it stands for {count} names; at most {MAX_NAMES} are taken")
    choices = [[literal] for literal in literals_and_bodies]
    choices[1::2] = [
        [f"{number:0{width}d}" for first, last, width in body for number in range(first, last + 1)] for body in spans
    ]
    names = tuple("".join(words) for words in itertools.product(*choices))
    if len(set(names)) < len(names):
        raise RangeError("it names a host twice")
    return names


def _parse_span(text: str) -> tuple[int, int, int]:
    """Return first, last, and the width to which numbers are padded with zeros (0: not padded)."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise RangeError(f"`[{text}]` is no range: numbers are meant, like [0-3,8]")
    first, last = match[1], match[2] or match[1]
    if int(first) > int(last):
        raise RangeError(f"[{text}] runs backwards")
    is_padded = any(len(number) > 1 and number.startswith("0") for number in (first, last))
    if last.startswith("0") and len(last) != len(first):
        raise RangeError(f"[{text}] pads its two ends differently")
    return int(first), int(last), len(first) if is_padded else 0
