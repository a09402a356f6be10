"""Sums up compiler runs: by op, by stage, and for the whole build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from orchestrator.model.timings import BuildTimings, Span

_LEAST_S = 0.05
"""A rest that is shorter is a matter of rounding."""


class Kind(str, Enum):
    """What ran."""

    CXX = "g++"
    NVCC = "nvcc"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpSum:
    """What one op took."""

    op: str
    own: int
    """Objects that were compiled for it."""
    shared: int
    """Objects that were compiled for another op, and are in it too."""
    cpu_s: float
    """Of its own objects and its link."""
    peak_memory_bytes: int | None


def kind_of(span: Span) -> Kind:
    """Return what ran."""
    if span.is_link:
        return Kind.LINK
    return Kind.NVCC if PurePosixPath(span.source).suffix == ".cu" else Kind.CXX


def compiled(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return the compilations: all but the links."""
    return tuple(span for span in spans if not span.is_link)


def count_sources(spans: Sequence[Span]) -> int:
    """Count what was compiled; a source whose compiler was killed and started again is one."""
    return sum(not (span.is_link or span.is_retry) for span in spans)


def sum_ops(spans: Sequence[Span]) -> tuple[OpSum, ...]:
    """Return every op's sum, the one with most CPU time first."""
    names = dict.fromkeys(name for span in spans for name in (span.op, *span.shared_with))
    return tuple(sorted((_sum_op(op, spans) for op in names), key=lambda each: (-each.cpu_s, each.op)))


def sum_stages(span: Span) -> dict[str, float]:
    """Return name → seconds of the steps inside a compiler run, those of several archs together; the rest is ``""``."""
    seconds: dict[str, float] = {}
    for stage in span.stages:
        seconds[stage.name] = seconds.get(stage.name, 0.0) + stage.elapsed_s
    rest_s = span.elapsed_s - sum(seconds.values())
    return {**seconds, "": rest_s} if rest_s > _LEAST_S else seconds


def cores_used(build: BuildTimings) -> float:
    """Return how many cores the compilers kept busy on average from the first to the last of them."""
    if not build.spans:
        return 0.0
    begin_s = min(span.start_s for span in build.spans)
    end_s = max(span.start_s + span.elapsed_s for span in build.spans)
    return total_cpu_s(build) / (end_s - begin_s) if end_s > begin_s else 0.0


def total_cpu_s(build: BuildTimings) -> float:
    """Return the CPU time of all compiler runs."""
    return sum(span.cpu_s for span in build.spans)


def peak_bytes(spans: Sequence[Span]) -> int | None:
    """Return the memory of the largest process; None when nothing was measured."""
    return max((span.peak_memory_bytes for span in spans if span.peak_memory_bytes is not None), default=None)


def _sum_op(op: str, spans: Sequence[Span]) -> OpSum:
    own = [span for span in spans if span.op == op]
    return OpSum(
        op=op,
        own=count_sources(own),
        shared=count_sources([span for span in spans if op in span.shared_with]),
        cpu_s=sum(span.cpu_s for span in own),
        peak_memory_bytes=peak_bytes(own),
    )
