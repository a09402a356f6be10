"""Folds host names that differ in a number only: `worker-[0-1,3]`; and the numbers of a host's GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)")


def fold_hosts(hosts: Iterable[str]) -> str:
    """Return one text for the hosts, equal names once; zero padding is kept, so that the text names exactly them.

    Patterns come in the order of their first host, numbers within a pattern in ascending order.
    """
    patterns: dict[tuple[str, str], list[str]] = {}
    for host in dict.fromkeys(hosts):
        before, number, after = _split(host)
        patterns.setdefault((before, after), []).append(number)
    return ",".join(
        f"{before}{numbers}{after}"
        for (before, after), found in patterns.items()
        for numbers in _fold_by_padding(found)
    )


def fold_gpus(gpus: Iterable[int]) -> str:
    """Return one text for some GPUs of a host: `GPU 3`, `GPU [0-7]`."""
    return fold_hosts(f"GPU {gpu}" for gpu in gpus)


def _split(host: str) -> tuple[str, str, str]:
    """Cut out the last number of the first label, or of a whole address; empty when there is none."""
    is_address = not host.strip("0123456789.")
    label, dot, domain = (host, "", "") if is_address else host.partition(".")
    match = _LAST_NUMBER.fullmatch(label)
    return (match[1], match[2], match[3] + dot + domain) if match else (host, "", "")


def _fold_by_padding(numbers: Sequence[str]) -> list[str]:
    padded_widths = {len(number) for number in numbers if len(number) > 1 and number.startswith("0")}
    by_width: dict[int, list[int]] = {}
    for number in filter(None, numbers):
        width = len(number) if len(number) in padded_widths else 0
        by_width.setdefault(width, []).append(int(number))
    without_number = [""] if "" in numbers else []
    return without_number + [_fold_numbers(sorted(values), width) for width, values in by_width.items()]


def _fold_numbers(numbers: Sequence[int], width: int) -> str:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    texts = [f"{first:0{width}}" if first == last else f"{first:0{width}}-{last:0{width}}" for first, last in runs]
    return texts[0] if len(numbers) == 1 else f"[{','.join(texts)}]"
