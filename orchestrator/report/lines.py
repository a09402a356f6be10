"""The lines that stay on the screen or in a log: which events leave one, and what it says."""

from __future__ import annotations

from enum import Enum

from rich.text import Text

from orchestrator.model.events import (
    BuildStep,
    Event,
    HostFinished,
    LogLine,
    Note,
    OpFinished,
    OpReused,
    Stage,
    StageFinished,
    StageStarted,
)
from orchestrator.planning.folding import fold_hosts
from orchestrator.report import wording
from orchestrator.report.drawing import source_words
from orchestrator.report.fan_out import fan_out_words
from orchestrator.report.page import BAD, FAINT, GOOD, STRONG, Marks, line, said
from orchestrator.report.progress import Progress, StageProgress, WheelProgress


class Verbosity(str, Enum):
    """How much a person wants to be told while it happens."""

    QUIET = "quiet"
    """Failures and notes."""
    NORMAL = "normal"
    DEBUG = "debug"
    """Also every log line."""


class Medium(str, Enum):
    """Where lines go: above a live display, which shows the rest, or into a log, which has nothing else."""

    LIVE = "live"
    LOG = "log"


def leaves_line(event: Event, verbosity: Verbosity, medium: Medium) -> bool:
    """Tell whether an event leaves a line of its own.

    Above a live display a host's failure leaves none: the stage's last line names all hosts that failed.
    """
    is_log = medium is Medium.LOG
    if isinstance(event, Note):
        return True
    if isinstance(event, HostFinished):
        return is_log and not event.is_ok
    if isinstance(event, OpFinished) and not event.is_ok:
        return True
    if verbosity is Verbosity.QUIET:
        return False
    if isinstance(event, LogLine):
        return verbosity is Verbosity.DEBUG
    goes_on = isinstance(event, StageStarted | BuildStep | OpFinished | OpReused)
    return isinstance(event, StageFinished) or (is_log and goes_on)


def line_of(event: Event, progress: Progress, marks: Marks) -> Text:  # noqa: PLR0911 - one return per event
    """Return what an event that leaves a line says; `progress` is the state after it."""
    match event:
        case Note():
            return said((marks.note, STRONG), event.text, event.hint)
        case LogLine():
            return line((f"{event.source}: ", FAINT), event.text)
        case StageStarted():
            return line(f"{marks.dot} {event.stage.value}  {wording.count(event.total, _noun(event.stage))}")
        case StageFinished():
            return finished_line(progress.stages[event.stage], marks)
        case HostFinished():
            text = event.text.removeprefix(f"{event.host}: ")
            return said((marks.bad, BAD), f"{event.stage.value}  {event.host}: {text}")
        case BuildStep():
            return line(f"{marks.dot} {Stage.BUILD.value}  {event.wheel}  {event.text}")
        case OpFinished() | OpReused():
            return _op_line(event, progress.stages[Stage.BUILD].wheels[event.wheel], marks)
        case _:
            return line()


def finished_line(stage: StageProgress, marks: Marks) -> Text:
    """Return the one line that a stage leaves: `✓ probe  3 hosts  0.4 s`."""
    noun = _noun(stage.stage)
    is_good = not stage.failed
    reached = stage.total - len(stage.failed)
    arrived = wording.size(stage.arrived_bytes) if stage.arrived_bytes else ""
    words = [
        wording.count(stage.total, noun) if is_good else f"{reached} of {wording.count(stage.total, noun)}",
        wording.count(stage.op_count, "op") if stage.op_count else "",
        f"{wording.count(stage.reused_count, 'op')} reused" if stage.reused_count else "",
        arrived if stage.report is None else fan_out_words(stage.report),
        wording.duration(stage.elapsed_s or 0.0),
        "" if is_good else f"failed: {_folded(stage)}",
    ]
    return line(_mark(marks, is_good=is_good), f" {stage.stage.value}  ", "  ".join(word for word in words if word))


def _op_line(event: OpFinished | OpReused, wheel: WheelProgress, marks: Marks) -> Text:
    words = [Stage.BUILD.value, event.wheel]
    if isinstance(event, OpFinished) and not event.is_ok:
        after = f" after {wording.duration(event.elapsed_s)}" if event.elapsed_s else ""
        return said((marks.bad, BAD), "  ".join([*words, f"{event.op} failed{after}: {event.text}"]))
    words += [f"{wheel.finished}/{wheel.total}", event.op]
    words[-1] += " reused" if isinstance(event, OpReused) else f" {wording.duration(event.elapsed_s)}"
    if wheel.sources is not None:
        words.append(source_words(wheel.sources))
    return said((marks.good, GOOD), "  ".join(words))


def _mark(marks: Marks, *, is_good: bool) -> tuple[str, str]:
    return (marks.good, GOOD) if is_good else (marks.bad, BAD)


def _noun(stage: Stage) -> str:
    return "wheel" if stage is Stage.BUILD else "host"


def _folded(stage: StageProgress) -> str:
    return ", ".join(stage.failed) if stage.stage is Stage.BUILD else fold_hosts(stage.failed)
