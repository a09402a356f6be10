"""What a run of build has done: every signature, and where its wheel came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.wheels import Artifact
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, GOOD, Drawing, Page, Words, line, make_details, stacked, titled
from orchestrator.report.tables.store import DIGITS
from orchestrator.report.wording import count, duration, size

_STATES = {
    WheelState.BUILT: "built",
    WheelState.STORED: "in the store",
    WheelState.FETCHED: "copied from a host",
    WheelState.KEPT: "on every host already",
    WheelState.FAILED: "failed",
}


def build_summary(results: Sequence[WheelResult], elapsed_s: float, timings: str | None = None) -> RenderableType:
    """Draw what became of every signature; `timings` is where the page of `--timings` lies."""
    return Drawing(lambda page: _summary(results, elapsed_s, timings, page))


def _summary(results: Sequence[WheelResult], elapsed_s: float, timings: str | None, page: Page) -> RenderableType:
    return stacked(
        *(titled(result.signature.label, make_details(_rows(result))) for result in results),
        make_details([("timings", timings)], indent=0) if timings else None,
        line(_mark(results, page), " ", _sum(results), f", {duration(elapsed_s)}"),
    )


def _rows(result: WheelResult) -> Iterator[tuple[str, RenderableType]]:
    yield "for", fold_hosts(result.hosts)
    if result.failure:
        yield "failed", line((result.failure.message.partition("\n")[0], BAD))
    else:
        yield "wheel", _built(result) if result.timings else _STATES[result.state]
    if result.artifact:
        yield "holds", _holds(result.artifact)
    if result.logs:
        yield "logs", result.logs


def _built(result: WheelResult) -> str:
    reused = len(result.timings.reused) if result.timings else 0
    words = f"built in {duration(result.elapsed_s)}"
    return f"{words}, {count(reused, 'op')} reused from an earlier build" if reused else words


def _holds(artifact: Artifact) -> str:
    ops = count(len(artifact.manifest.built_ops), "op")
    return f"{ops}, {size(artifact.size_bytes)}, {artifact.sha256[:DIGITS]}"


def _mark(results: Sequence[WheelResult], page: Page) -> Words:
    is_good = bool(results) and not any(result.failure for result in results)
    return (page.marks.good, GOOD) if is_good else (page.marks.bad, BAD)


def _sum(results: Sequence[WheelResult]) -> str:
    """Count the wheels by what became of them: `2 wheels built, 1 wheel in the store`."""
    numbers = {state: sum(result.state is state for result in results) for state in WheelState}
    words = [f"{count(number, 'wheel')} {_STATES[state]}" for state, number in numbers.items() if number]
    return ", ".join(words) or "no host can take a wheel"
