"""Reads which hosts play which captured GPUs or which CPU: `h100x8`, `avx2:0-1,3`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from testcluster.errors import ClusterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which hosts play what."""

    played: str
    hosts: tuple[int, ...] | None
    """Indices; None for all."""


def parse_choice(text: str) -> Choice:
    """Read `h100x8` or `h100x8:0-1,3`. Raises ClusterError."""
    played, colon, ranges = text.partition(":")
    if not played or (colon and not ranges):
        raise ClusterError(f"not a choice of hosts: {text!r}", hint="for example h100x8 or avx2:0-1,3")
    return Choice(played=played, hosts=_parse_ranges(ranges) if colon else None)


def _parse_ranges(text: str) -> tuple[int, ...]:
    indices: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise ClusterError(f"not host numbers: {text!r}", hint="for example 0-1,3")
        indices += range(int(first), int(last or first) + 1)
    return tuple(indices)


def find_played(choices: Iterable[Choice], index: int) -> str | None:
    """Return what a host plays; the last choice that names it wins."""
    found = [choice.played for choice in choices if choice.hosts is None or index in choice.hosts]
    return found[-1] if found else None
