"""Says field by field what makes groups differ: `worker-3: torch 2.12.1 where 15 others have 2.13.0`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.grouping import Group, Key

_LABELS = {
    "accelerator": "accelerator",
    "gpu_archs": "GPU arch",
    "torch_version": "torch",
    "torch_cuda": "torch's CUDA",
    "torch_hip": "torch's HIP",
    "cxx11_abi": "C++11 ABI",
    "python_tag": "Python",
    "machine": "machine",
    "cpu_level": "CPU level",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Hosts that have another value than most."""

    label: str
    """What differs, in words: `torch`."""
    value: str
    hosts: tuple[str, ...]
    usual: str
    """What most hosts have."""
    usual_count: int

    @property
    def text(self) -> str:
        """The difference as one line."""
        others = "1 other has" if self.usual_count == 1 else f"{self.usual_count} others have"
        return f"{fold_hosts(self.hosts)}: {self.label} {self.value} where {others} {self.usual}"


def differences(groups: Sequence[Group]) -> tuple[Difference, ...]:
    """Return what separates the groups, in the order of the key's fields; nothing for one group."""
    return tuple(difference for field in Key._fields for difference in _differences_in(field, groups))


def _differences_in(field: str, groups: Sequence[Group]) -> list[Difference]:
    hosts_by_value: dict[str, list[str]] = {}
    for group in groups:
        hosts_by_value.setdefault(_text_of(getattr(group.key, field)), []).extend(group.hosts)
    usual = max(hosts_by_value, key=lambda value: len(hosts_by_value[value]), default="")
    return [
        Difference(
            label=_LABELS[field],
            value=value,
            hosts=tuple(hosts),
            usual=usual,
            usual_count=len(hosts_by_value[usual]),
        )
        for value, hosts in hosts_by_value.items()
        if value != usual
    ]


def _text_of(value: object) -> str:
    match value:
        case Enum():
            return str(value.value)
        case bool():
            return "yes" if value else "no"
        case None | ():
            return "none"
        case tuple():
            return " ".join(value)
    return str(value)
