"""DeepSpeed 0.19.8's rules for hostfiles and filters, written down a second time, independently.

`test_upstream_sdist.py` holds them against the real launcher; the fast tests hold ours against them.
"""

from __future__ import annotations

import re


class RefusedError(Exception):
    """DeepSpeed raises for this text."""


def hosts_upstream(text: str) -> dict[str, int]:
    """Host → number of slots, in order."""
    hosts: dict[str, int] = {}
    for line in re.split("\r\n|\r|\n", text):
        stripped = line.strip()
        if stripped.startswith("#") or not stripped:
            continue
        found = re.search(r"^(\S+)\s+slots=(\d+)", stripped)
        if found is None or found[1] in hosts:
            raise RefusedError(line)
        hosts[found[1]] = int(found[2])
    if not hosts:
        raise RefusedError("no hosts")
    return hosts


def filtered_upstream(hosts: dict[str, int], include: str, exclude: str) -> dict[str, list[int]]:
    """Host → slots that are left, in order of the hostfile; perhaps none."""
    everything = {name: list(range(count)) for name, count in hosts.items()}
    if include and exclude:
        raise RefusedError("both")
    if not include and not exclude:
        return everything
    named: dict[str, set[int]] = {}
    for word in (include or exclude).split("@"):
        name, *slots = word.split(":")
        if name not in hosts or len(slots) > 1:
            raise RefusedError(word)
        try:
            numbers = {int(number) for part in slots for number in part.split(",")}
        except ValueError as error:
            raise RefusedError(word) from error
        if not numbers <= set(everything[name]):
            raise RefusedError(word)
        named.setdefault(name, set()).update(numbers)
    left: dict[str, list[int]] = {}
    for name, slots_there in everything.items():
        meant = named.get(name)
        if include:
            left[name] = [] if meant is None else sorted(meant) or slots_there
        else:
            left[name] = slots_there if meant is None else [slot for slot in slots_there if meant and slot not in meant]
    return {name: numbers_left for name, numbers_left in left.items() if numbers_left}
