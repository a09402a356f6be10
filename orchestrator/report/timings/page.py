"""Writes the page of `build --timings`: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.model.timings import BuildTimings, Span
from orchestrator.report.timings.markup import Bar, Piece, bars, escaped, legend, section, table
from orchestrator.report.timings.sums import (
    OpSum,
    compiled,
    cores_used,
    count_sources,
    kind_of,
    peak_bytes,
    sum_ops,
    sum_stages,
    total_cpu_s,
)
from orchestrator.report.timings.timeline import COLOURS, describe, draw_timeline
from orchestrator.report.wording import count, duration, memory

_STYLE = Path(__file__).with_name("page.css")
_SHOWN = 20
"""So many of the slowest sources are shown; the others fold out."""
_STAGES = (("cudafe", "cudafe"), ("cicc", "cicc"), ("ptxas", "ptxas"), ("gcc", "cxx"))
"""How a stage's name begins, and its colour; nvcc's names are those of `nvcc --time`."""
_STAGE_WORDS = {"cudafe": "cudafe++", "cicc": "cicc", "ptxas": "ptxas", "cxx": "g++", "step": "the rest of nvcc"}


def timings_page(builds: Sequence[BuildTimings]) -> str:
    """Return one HTML document about one run's builds; it loads nothing and runs no script."""
    content = "".join(map(_build, builds))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>dsdeploy build timings</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><h1>dsdeploy build timings</h1>{_summary(builds)}{content}</body></html>\n"
    )


def _summary(builds: Sequence[BuildTimings]) -> str:
    headers = ("wheel", "ops", "reused", "sources", "wall", "CPU", "cores busy", "largest process")
    return table(headers, map(_summary_row, builds))


def _summary_row(build: BuildTimings) -> tuple[str, ...]:
    peak = peak_bytes(build.spans)
    return (
        build.wheel,
        str(len({name for span in build.spans for name in (span.op, *span.shared_with)} | set(build.reused))),
        str(len(build.reused)),
        str(count_sources(build.spans)),
        duration(build.elapsed_s),
        duration(total_cpu_s(build)),
        f"{cores_used(build):.1f} of {build.cores}",
        "" if peak is None else memory(peak),
    )


def _build(build: BuildTimings) -> str:
    parts = [
        section("When", draw_timeline(build)) if build.spans else "",
        _slowest(compiled(build.spans)),
        section("Ops", bars(_op_bars(sum_ops(build.spans)))) if build.spans else "",
        section("Beside compiling", bars(_step_bars(build))) if build.steps else "",
        section(f"Reused: {count(len(build.reused), 'op')}", f"<p>{escaped(', '.join(build.reused))}</p>")
        if build.reused
        else "",
    ]
    return f"<article><h2>{escaped(build.wheel)}</h2>{''.join(parts)}</article>"


def _slowest(spans: Sequence[Span]) -> str:
    if not spans:
        return ""
    longest_first = sorted(spans, key=lambda span: -span.elapsed_s)
    longest_s = max(longest_first[0].elapsed_s, 0.001)
    rows = [_source_bar(span, longest_s) for span in longest_first]
    others = count(len(rows) - _SHOWN, "other source")
    more = f"<details><summary>{others}</summary>{bars(rows[_SHOWN:])}</details>" if len(rows) > _SHOWN else ""
    return section("Slowest sources", f'<p class="legend">{_stage_legend(spans)}</p>', bars(rows[:_SHOWN]), more)


def _source_bar(span: Span, longest_s: float) -> Bar:
    stages = sum_stages(span) if span.stages else {kind_of(span).value: span.elapsed_s}
    pieces = [
        Piece(
            share=elapsed_s / longest_s,
            colour=_stage_colour(name) if span.stages else COLOURS[kind_of(span)],
            title=f"{name or 'the rest'} {duration(elapsed_s)}",
        )
        for name, elapsed_s in stages.items()
    ]
    return Bar(name=span.source, pieces=tuple(pieces), value=duration(span.elapsed_s), title=describe(span))


def _stage_colour(name: str) -> str:
    return next((colour for beginning, colour in _STAGES if name.startswith(beginning)), "step")


def _stage_legend(spans: Iterable[Span]) -> str:
    return legend(_STAGE_WORDS.items()) if any(span.stages for span in spans) else ""


def _op_bars(sums: Sequence[OpSum]) -> Iterator[Bar]:
    most_s = max((each.cpu_s for each in sums), default=0.0) or 1.0
    for each in sums:
        objects = count(each.own, "source") + (f", {each.shared} shared with others" if each.shared else "")
        peak = "" if each.peak_memory_bytes is None else f", {memory(each.peak_memory_bytes)}"
        yield Bar(
            name=each.op,
            pieces=(Piece(share=each.cpu_s / most_s, colour="op"),),
            value=f"{duration(each.cpu_s)} of CPU, {objects}{peak}",
        )


def _step_bars(build: BuildTimings) -> Iterator[Bar]:
    longest_s = max(step.elapsed_s for step in build.steps) or 1.0
    for step in build.steps:
        yield Bar(
            name=step.name,
            pieces=(Piece(share=step.elapsed_s / longest_s, colour="step"),),
            value=duration(step.elapsed_s),
        )
