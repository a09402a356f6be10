"""How numbers and remote text are written for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
"""ECMA-48 control sequences and operating system commands: colours, titles, cursor movements."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def size(size_bytes: float) -> str:
    """Write a file's size in decimal units, as disks and networks are sold: `10.7 MB`."""
    return _scaled(size_bytes, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def memory(size_bytes: float) -> str:
    """Write an amount of memory in binary units, as memory is sold: `24 GiB`."""
    return _scaled(size_bytes, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def duration(elapsed_s: float) -> str:
    """Write a time as precisely as people care: `0.4 s`, `31 s`, `4 min 12 s`, `1 h 3 min`."""
    if elapsed_s < 9.95:
        return f"{max(elapsed_s, 0):.1f} s"
    seconds = round(elapsed_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def rough_duration(elapsed_s: float) -> str:
    """Write an estimated time, no more precisely than it deserves: `40 s`, `6 min`, `1 h 10 min`."""
    if elapsed_s < 55:
        return f"{max(10, math.ceil(elapsed_s / 10) * 10)} s"
    minutes = max(1, round(elapsed_s / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes, -1), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str) -> str:
    """Write a number with its noun: `1 host`, `3 hosts`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_range(sizes_bytes: Iterable[int]) -> str:
    """Write the smallest and the largest of some sizes: `40 GB` when they read alike, else `40 GB to 1.2 TB`."""
    return _range([size(each) for each in sorted(sizes_bytes)])


def memory_range(sizes_bytes: Iterable[int]) -> str:
    """Write the smallest and the largest of some amounts of memory."""
    return _range([memory(each) for each in sorted(sizes_bytes)])


def shortened(items: Sequence[str], total: int) -> str:
    """Join the items that are shown by commas, and say how many of `total` are not: `a, b, +56 more`."""
    more = [f"+{total - len(items)} more"] if total > len(items) else []
    return ", ".join([*items, *more])


def clean(text: str) -> str:
    """Return remote text without terminal escapes and control characters; lines and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def _scaled(number: float, step: int, units: Sequence[str]) -> str:
    value = float(number)
    for unit in units[:-1]:
        if value < step - 0.5:
            return _with_unit(value, unit)
        value /= step
    return _with_unit(value, units[-1])


def _with_unit(value: float, unit: str) -> str:
    """Keep one decimal below 100; whole numbers have none."""
    digits = f"{value:.0f}" if value >= 99.95 else f"{value:.1f}".removesuffix(".0")
    return f"{digits} {unit}"


def _range(words: Sequence[str]) -> str:
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"
