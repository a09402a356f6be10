"""Draws one build's compiler runs in time: a row a lane, coloured by what ran, and the memory that they took."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from orchestrator.model.timings import BuildTimings, Span
from orchestrator.report.timings.lanes import lay_out, memory_steps, ticks
from orchestrator.report.timings.markup import escaped, legend, percent
from orchestrator.report.timings.sums import Kind, kind_of
from orchestrator.report.wording import duration, memory

COLOURS = {Kind.CXX: "cxx", Kind.NVCC: "nvcc", Kind.LINK: "link"}
_LEAST_CELL_PX = 9
"""So wide a row gives each of its runs on average; the timeline scrolls sideways when that is more than the page."""
_LEAST_NAMED = 0.04
"""A run takes this share of the row before its name stands in it."""
_MARKED = 0.96
"""The last mark of the axis stands before this share of the row, so that its words fit."""
_CURVE_WIDTH, _CURVE_HEIGHT = 1000, 40


def draw_timeline(build: BuildTimings) -> str:
    """Return the timeline as HTML; every run says on hovering what it was."""
    total_s = _total_s(build)
    lanes = lay_out(build.spans)
    width_px = _LEAST_CELL_PX * max((len(lane) for lane in lanes), default=0)
    rows = "".join(f'<div class="lane">{"".join(_span(span, total_s) for span in lane)}</div>' for lane in lanes)
    axis = "".join(
        f'<b style="left:{percent(tick / total_s)}"><u>{escaped(_clock(tick))}</u></b>'
        for tick in ticks(total_s * _MARKED)
    )
    return (
        f'<p class="legend">{_legend(build)}</p>'
        f'<div class="wide"><div class="timeline" style="min-width:{width_px}px">'
        f'<div class="axis">{axis}</div>{rows}{_memory(build, total_s)}</div></div>'
    )


def describe(span: Span) -> str:
    """Return all that is known of a run, a fact a line."""
    return "\n".join(_facts(span))


def _total_s(build: BuildTimings) -> float:
    ends = (span.start_s + span.elapsed_s for span in build.spans)
    return max([build.elapsed_s, *ends, 0.001])


def _legend(build: BuildTimings) -> str:
    kinds = {kind_of(span) for span in build.spans}
    entries = [(colour, kind.value) for kind, colour in COLOURS.items() if kind in kinds]
    if any(span.is_retry for span in build.spans):
        entries.append(("retry", "again, after it was killed for want of memory"))
    return legend(entries)


def _span(span: Span, total_s: float) -> str:
    share = span.elapsed_s / total_s
    name = escaped(PurePosixPath(span.source).name) if share >= _LEAST_NAMED else ""
    colour = COLOURS[kind_of(span)] + (" retry" if span.is_retry else "")
    place = f"left:{percent(span.start_s / total_s)};width:{percent(share)}"
    return f'<span class="run {colour}" style="{place}" title="{escaped(describe(span))}">{name}</span>'


def _facts(span: Span) -> Iterator[str]:
    yield span.source
    yield f"{kind_of(span).value} for {', '.join((span.op, *span.shared_with))}"
    yield f"{duration(span.elapsed_s)} from {_clock(span.start_s)}, {duration(span.cpu_s)} of CPU"
    if span.peak_memory_bytes is not None:
        yield f"{memory(span.peak_memory_bytes)} of memory"
    if span.is_retry:
        yield "again: it was killed before, for want of memory"
    for stage in span.stages:
        yield f"  {stage.name} {stage.gpu_arch}".rstrip() + f"  {duration(stage.elapsed_s)}"


def _clock(moment_s: float) -> str:
    """Write a moment of the build: `4:05`, `1:02:03`."""
    minutes, seconds = divmod(int(moment_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _memory(build: BuildTimings, total_s: float) -> str:
    """Draw what the runs of each moment took together, on the scale of what they were allowed."""
    steps = memory_steps(build.spans)
    highest = max((size_bytes for _, size_bytes in steps), default=0)
    if not highest:
        return ""
    scale_bytes = max(highest, build.memory_bytes)
    path, level = [f"M0 {_CURVE_HEIGHT}"], float(_CURVE_HEIGHT)
    for moment_s, size_bytes in steps:
        x, y = _CURVE_WIDTH * moment_s / total_s, _CURVE_HEIGHT * (1 - size_bytes / scale_bytes)
        path.append(f"L{x:.1f} {level:.1f}L{x:.1f} {y:.1f}")
        level = y
    told = f"memory, were all at their peaks at once: {memory(highest)} at most; {memory(build.memory_bytes)} to take"
    return (
        f'<svg class="curve" viewBox="0 0 {_CURVE_WIDTH} {_CURVE_HEIGHT}" preserveAspectRatio="none" role="img">'
        f'<title>{escaped(told)}</title><path d="{"".join(path)}Z"/></svg><p class="note">{escaped(told)}</p>'
    )
