"""Choose hosts and slots: DeepSpeed's `--include` and `--exclude`.

The rules are those of `parse_resource_filter` (deepspeed/launcher/runner.py, DeepSpeed 0.19.8):
`HOST[:SLOT,SLOT...]` joined by `@`; without slots, all of a host's; the two options together, an unknown host or an
unknown slot are refused. Ours are ranges in the host part (`worker-[0-3]:0,1`) and that nothing left is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from orchestrator.config.faults import Faults
from orchestrator.config.names import quoted
from orchestrator.config.ranges import RangeError, expand_range
from orchestrator.config.suggestion import did_you_mean, listed
from orchestrator.errors import UsageError
from orchestrator.model.hosts import Host

_HINT = "write hosts as in the hostfile, with slots if only some are meant: worker-0:0,2@worker-1"


def apply_filters(hosts: Sequence[Host], *, include: str, exclude: str) -> tuple[Host, ...]:
    """Return the chosen hosts with their chosen slots, in hostfile order; both texts empty: all of them.

    Raises UsageError when both are given or no host is left, ConfigError with every fault of the text.
    """
    if include and exclude:
        raise UsageError("--include and --exclude cannot be used together", hint="keep one of the two")
    if not include and not exclude:
        return tuple(hosts)
    option = "--include" if include else "--exclude"
    named = _parse_filter(include or exclude, hosts, Faults(option))
    chosen = _included(hosts, named) if include else _excluded(hosts, named)
    left = tuple(host for host in chosen if host.slots)
    if not left:
        raise UsageError(
            f"{option} {include or exclude} leaves no host", hint="no slot of any host is left: choose fewer"
        )
    return left


def _included(hosts: Sequence[Host], named: dict[str, set[int]]) -> list[Host]:
    """Return the named hosts; one named without slots keeps all of its own."""
    return [
        dataclasses.replace(host, slots=tuple(sorted(named[host.name])) or host.slots)
        for host in hosts
        if host.name in named
    ]


def _excluded(hosts: Sequence[Host], named: dict[str, set[int]]) -> list[Host]:
    """Return hosts without the named slots; one named without slots loses all."""
    return [
        dataclasses.replace(host, slots=_without(host.slots, named[host.name])) if host.name in named else host
        for host in hosts
    ]


def _without(slots: tuple[int, ...], gone: set[int]) -> tuple[int, ...]:
    return tuple(slot for slot in slots if slot not in gone) if gone else ()


def _parse_filter(text: str, hosts: Sequence[Host], faults: Faults) -> dict[str, set[int]]:
    """Return host → slots named; a host named twice gets the slots of both, and no slots mean all of them."""
    by_name = {host.name: host for host in hosts}
    named: dict[str, set[int]] = {}
    for word in text.split("@"):
        pattern, colon, slots_text = word.partition(":")
        try:
            names = expand_range(pattern)
        except RangeError as error:
            faults.add(None, f"{quoted(pattern)}: {error}")
            continue
        unknown = [name for name in names if name not in by_name]
        if unknown:
            faults.add(None, f"no such host in the hostfile: {listed(unknown)}{did_you_mean(unknown[0], by_name)}")
        slots = _parse_slots(slots_text, faults) if colon else set()
        for name in names:
            named.setdefault(name, set()).update(slots)
            if name in by_name:
                _check_slots(by_name[name], slots, faults)
    faults.raise_any(hint=_HINT)
    return named


def _parse_slots(text: str, faults: Faults) -> set[int]:
    slots = set()
    for word in text.split(","):
        try:
            slots.add(int(word))
        except ValueError:
            faults.add(None, f"{quoted(word)} is no slot number")
    return slots


def _check_slots(host: Host, slots: set[int], faults: Faults) -> None:
    unknown = sorted(slots - set(host.slots))
    if unknown:
        has = f"0 to {host.slots[-1]}" if host.slots else "none"
        faults.add(None, f"{host.name} has no slot {listed(map(str, unknown))}: its slots are {has}")
