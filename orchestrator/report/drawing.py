"""Draws the state of a run: a few lines, however many hosts there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.planning.folding import fold_hosts
from orchestrator.report import wording
from orchestrator.report.page import BAD, FAINT, STRONG, Page, Words, line
from orchestrator.report.progress import Progress, SourceCount, StageProgress, WheelProgress, Work

MOST_SHOWN = 8
"""How many running hosts, ops or wheels are named; the others are counted."""
_BAR_CELLS = 20
_FRAMES_PER_S = 10


def draw_progress(progress: Progress, now_s: float, page: Page) -> RenderableType:
    """Return the lines of the stages that go on: one a stage (a wheel, in BUILD), each cut at the page's edge."""
    lines = [each for stage in progress.running for each in _stage_lines(stage, now_s, page)]
    for each in lines:
        each.no_wrap = True
        each.overflow = "ellipsis"
    return Group(*lines)


def running_words(running: Mapping[str, Work], now_s: float, cells: int) -> str:
    """Name what goes on with its age, the oldest first: as many as fit into `cells`, and how many more there are."""
    shown = [_work_words(name, work, now_s) for name, work in itertools.islice(running.items(), MOST_SHOWN)]
    texts = [wording.shortened(shown[:limit], len(running)) for limit in range(len(shown), 0, -1)]
    return next((text for text in texts if cell_len(text) <= cells), texts[-1] if texts else "")


def source_words(sources: SourceCount) -> str:
    """Say how far the compilers are, and how long they may still take."""
    left = f", {wording.rough_duration(sources.left_s)} left" if sources.left_s else ""
    return f"{sources.done} of {wording.count(sources.total, 'source')}{left}"


def _stage_lines(stage: StageProgress, now_s: float, page: Page) -> Iterator[Text]:
    if stage.wheels:
        yield from _wheel_lines(stage, now_s, page)
        return
    age = wording.duration(now_s - stage.started_s)
    if stage.total_bytes:
        yield line(*_beginning(stage, now_s, page), *_byte_words(stage, now_s, page))
        yield line("  ", *_host_words(stage), (age, FAINT))
        return
    begin = [*_beginning(stage, now_s, page), f"{stage.finished}/{stage.total}  ", *_failed_words(stage)]
    room = page.width - cell_len(line(*begin).plain) - len(age) - 4
    names = running_words(stage.running, now_s, room)
    yield line(*begin, names, "  " if names else "", (age, FAINT))


def _wheel_lines(stage: StageProgress, now_s: float, page: Page) -> Iterator[Text]:
    labels = list(stage.wheels)
    for label in labels[:MOST_SHOWN]:
        wheel = stage.wheels[label]
        begin = [*_beginning(stage, now_s, page), f"{label}  ", *_failed_words(stage)]
        yield line(*begin, _wheel_words(wheel, now_s, page.width - cell_len(line(*begin).plain)))
    if len(labels) > MOST_SHOWN:
        yield line(f"  +{len(labels) - MOST_SHOWN} more wheels")


def _wheel_words(wheel: WheelProgress, now_s: float, cells: int) -> str:
    is_compiling = wheel.sources is not None and wheel.sources.done < wheel.sources.total
    if not (wheel.running or is_compiling):
        return f"{wheel.step}  {wording.duration(now_s - wheel.started_s)}"
    done = f"{wheel.finished}/{wheel.total}  "
    if wheel.sources is not None:
        done += f"compiling {source_words(wheel.sources)}  "
    return done + running_words(wheel.running, now_s, cells - len(done))


def _beginning(stage: StageProgress, now_s: float, page: Page) -> list[Words]:
    frames = page.marks.spinner
    frame = frames[int(now_s * _FRAMES_PER_S) % len(frames)]
    return [frame, " ", (stage.stage.value, STRONG), "  "]


def _failed_words(stage: StageProgress) -> list[Words]:
    return [(f"{len(stage.failed)} failed  ", BAD)] if stage.failed else []


def _host_words(stage: StageProgress) -> list[Words]:
    """Say how many hosts are done, receiving, waiting and failed; the last few that receive are named."""
    receiving = stage.receiving
    waiting = max(stage.total - stage.finished - len(receiving), 0)
    words: list[Words] = [f"{stage.finished - len(stage.failed)} done  "]
    if receiving:
        names = f": {fold_hosts(receiving)}" if len(receiving) <= MOST_SHOWN else ""
        words.append(f"{len(receiving)} receiving{names}  ")
    if waiting:
        words.append(f"{waiting} waiting  ")
    return words + _failed_words(stage)


def _byte_words(stage: StageProgress, now_s: float, page: Page) -> Sequence[Words]:
    share = min(stage.done_bytes / stage.total_bytes, 1.0)
    full = int(share * _BAR_CELLS)
    remaining_s = stage.remaining_s(now_s)
    words = [
        f"{share:.0%}",
        f"{wording.size(stage.done_bytes)} of {wording.size(stage.total_bytes)}",
        f"{wording.size(stage.rate(now_s))}/s",
        *([f"{wording.duration(remaining_s)} left"] if remaining_s is not None else []),
    ]
    return [page.marks.full * full, page.marks.empty * (_BAR_CELLS - full), "  ", "  ".join(words)]


def _work_words(name: str, work: Work, now_s: float) -> str:
    words = [name, work.text, wording.duration(now_s - work.started_s)]
    return " ".join(word for word in words if word)
