"""Lays compiler runs out in time: side by side in lanes, and what they took together at each moment."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.model.timings import Span


def lay_out(spans: Sequence[Span]) -> tuple[tuple[Span, ...], ...]:
    """Put every span on a lane where nothing else runs at that time: as few lanes as ran at once."""
    lanes: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: (span.start_s, -span.elapsed_s)):
        free = next((lane for lane in lanes if _end(lane[-1]) <= span.start_s), None)
        if free is None:
            lanes.append([span])
        else:
            free.append(span)
    return tuple(map(tuple, lanes))


def memory_steps(spans: Sequence[Span]) -> tuple[tuple[float, int], ...]:
    """Return (moment in s, bytes from then on): what all that run would take if each were at its peak."""
    changes: dict[float, int] = {}
    for span in spans:
        peak_bytes = span.peak_memory_bytes or 0
        changes[span.start_s] = changes.get(span.start_s, 0) + peak_bytes
        changes[_end(span)] = changes.get(_end(span), 0) - peak_bytes
    steps: list[tuple[float, int]] = []
    for moment_s in sorted(changes):
        steps.append((moment_s, (steps[-1][1] if steps else 0) + changes[moment_s]))
    return tuple(steps)


def ticks(elapsed_s: float) -> tuple[int, ...]:
    """Return the moments to be marked on a time axis: at most 12, at steps that people count in."""
    step = next((step for step in (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600) if elapsed_s / step < 12), 7200)
    return tuple(range(0, int(elapsed_s) + 1, step))


def _end(span: Span) -> float:
    return span.start_s + span.elapsed_s
