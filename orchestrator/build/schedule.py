"""Decides which op is compiled when, and with how many compilers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.model.ops import OpSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledOp:
    """One op and its share of the machine."""

    spec: OpSpec
    jobs: int
    """How many of its sources are compiled at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The ops in the order in which they start."""

    ops: tuple[ScheduledOp, ...]
    at_once: int
    """How many ops are compiled at once; at least one."""


def make_schedule(specs: Sequence[OpSpec], *, cores: int, memory_bytes: int) -> Schedule:
    """Start the longest op first, and as many compilers as both cores and memory bear, but always one.

    Compilers that are left over when every op has one are shared out by the ops' lengths.
    """
    compilers = count_compilers(specs, cores=cores, memory_bytes=memory_bytes)
    at_once = max(1, min(compilers, len(specs)))
    left_over, total_s = compilers - at_once, sum(spec.compile_cpu_s for spec in specs)
    longest_first = sorted(specs, key=lambda spec: (-spec.compile_cpu_s, spec.name))
    return Schedule(
        ops=tuple(
            ScheduledOp(spec=spec, jobs=1 + int(left_over * spec.compile_cpu_s / total_s)) for spec in longest_first
        ),
        at_once=at_once,
    )


def count_compilers(specs: Sequence[OpSpec], *, cores: int, memory_bytes: int) -> int:
    """Return how many compilers may run at once if any may be the hungriest; at least one."""
    peak_bytes = max((spec.peak_memory_bytes for spec in specs), default=1)
    return max(1, min(cores, memory_bytes // peak_bytes))
