"""What goes on at this moment, folded from events; no terminal, no clock."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from orchestrator.model.events import (
    BuildStep,
    Event,
    FanOutReported,
    HostFinished,
    HostProgress,
    OpFinished,
    OpReused,
    OpStarted,
    SourcesCompiled,
    Stage,
    StageFinished,
    StageStarted,
)
from orchestrator.model.fanout import FanOutReport

K = TypeVar("K")
V = TypeVar("V")

_RATE_WINDOW_S = 5.0
"""What a rate looks back on: long enough to be calm, short enough to forget hosts that have ended."""
_READ_EVERY_S = 0.5
_AFTER_ALL_OTHERS = {Stage.LOCK, Stage.RECOVER}
"""Never beside another stage: one that has not ended when these begin was cut off, by Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing that goes on: a host in a stage, or an op of a wheel."""

    started_s: float
    """On the clock of whoever folds, like every `_s` moment here."""
    text: str = ""
    done_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How many bytes had arrived at one moment."""

    at_s: float
    done_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCount:
    """How far the compilers of one wheel are."""

    done: int
    total: int
    left_s: float | None
    """Estimated when it was said; None when nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelProgress:
    """One wheel in the making."""

    started_s: float
    step: str = ""
    """What it works at beside ops: `environment`, `source`, `wheel`."""
    total: int = 0
    """How many ops it compiles or reuses; 0 until that is known."""
    finished: int = 0
    """How many of them are there."""
    sources: SourceCount | None = None
    """None until the compilers begin."""
    running: Mapping[str, Work] = field(default_factory=dict)
    """By op, in the order of their start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """One stage: who has ended, who is at it. In BUILD a host's place is taken by a wheel's label."""

    stage: Stage
    total: int
    started_s: float
    finished: int = 0
    failed: tuple[str, ...] = ()
    running: Mapping[str, Work] = field(default_factory=dict)
    """By host, in the order of their start."""
    wheels: Mapping[str, WheelProgress] = field(default_factory=dict)
    """BUILD only: the wheels that have not ended, by label."""
    op_count: int = 0
    """BUILD only: how many ops were compiled."""
    reused_count: int = 0
    """BUILD only: how many ops an earlier build had left."""
    arrived_bytes: int = 0
    """What the hosts that ended well have received."""
    readings: tuple[Reading, ...] = ()
    """Those of the last few seconds, oldest first; none until a host says how much is to arrive."""
    report: FanOutReport | None = None
    """FAN_OUT only: what it took; None while it goes on."""
    elapsed_s: float | None = None
    """None while the stage goes on."""

    @property
    def done_bytes(self) -> int:
        """Bytes that have arrived so far, on all hosts."""
        return self.arrived_bytes + sum(work.done_bytes for work in self.running.values())

    @property
    def total_bytes(self) -> int:
        """Bytes that are to arrive, on all hosts that have said so."""
        return self.arrived_bytes + sum(work.total_bytes for work in self.running.values())

    @property
    def receiving(self) -> tuple[str, ...]:
        """Hosts that have got something and not ended."""
        return tuple(host for host, work in self.running.items() if work.done_bytes)

    def rate(self, now_s: float) -> float:
        """Return bytes per second over the last few seconds; 0 before the first byte."""
        if not self.readings or now_s <= self.readings[0].at_s:
            return 0.0
        return max(self.done_bytes - self.readings[0].done_bytes, 0) / (now_s - self.readings[0].at_s)

    def remaining_s(self, now_s: float) -> float | None:
        """Return how long the rest takes at this rate; None while there is no rate."""
        rate = self.rate(now_s)
        return (self.total_bytes - self.done_bytes) / rate if rate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Every stage of the run so far."""

    stages: Mapping[Stage, StageProgress] = field(default_factory=dict)

    @property
    def running(self) -> tuple[StageProgress, ...]:
        """The stages that have not ended, in the order of their start."""
        return tuple(stage for stage in self.stages.values() if stage.elapsed_s is None)


def fold(progress: Progress, event: Event, now_s: float) -> Progress:
    """Return the progress after `event`, which came at `now_s`; notes and log lines change nothing."""
    match event:
        case StageStarted():
            started = StageProgress(stage=event.stage, total=event.total, started_s=now_s)
            before = _ended(progress.stages) if event.stage in _AFTER_ALL_OTHERS else progress.stages
            return Progress(stages={**_without(before, event.stage), event.stage: started})
        case HostProgress():
            return fold_works(progress, [event], now_s)
        case StageFinished():
            stage = dataclasses.replace(_stage(progress, event.stage, now_s), elapsed_s=event.elapsed_s)
        case HostFinished():
            stage = _host_ended(_stage(progress, event.stage, now_s), event)
        case FanOutReported():
            stage = dataclasses.replace(_stage(progress, Stage.FAN_OUT, now_s), report=event.report)
        case BuildStep() | OpStarted() | OpFinished() | OpReused() | SourcesCompiled():
            stage = _wheel_works(_stage(progress, Stage.BUILD, now_s), event, now_s)
        case _:
            return progress
    return _with_stage(progress, stage)


def fold_works(progress: Progress, events: Iterable[HostProgress], now_s: float) -> Progress:
    """Return the progress after many events at once: a thousand hosts tell more than can be folded one by one."""
    for stage, told in itertools.groupby(events, key=lambda event: event.stage):
        progress = _with_stage(progress, _hosts_work(_stage(progress, stage, now_s), told, now_s))
    return progress


def _hosts_work(stage: StageProgress, events: Iterable[HostProgress], now_s: float) -> StageProgress:
    running = dict(stage.running)
    for event in events:
        before = running.get(event.host) or Work(started_s=now_s)
        running[event.host] = Work(
            started_s=before.started_s,
            text=event.text,
            done_bytes=before.done_bytes if event.done_bytes is None else event.done_bytes,
            total_bytes=before.total_bytes if event.total_bytes is None else event.total_bytes,
        )
    after = dataclasses.replace(stage, running=running)
    return dataclasses.replace(after, readings=_readings(after, now_s))


def _readings(stage: StageProgress, now_s: float) -> tuple[Reading, ...]:
    """Return what a rate needs: the last reading before the window, those in it, and a new one when it is time."""
    readings = stage.readings
    if readings and now_s < readings[-1].at_s + _READ_EVERY_S:
        return readings
    if not (readings or stage.total_bytes):
        return ()
    old = sum(reading.at_s < now_s - _RATE_WINDOW_S for reading in readings)
    return (*readings[max(old - 1, 0) :], Reading(at_s=now_s, done_bytes=stage.done_bytes))


def _host_ended(stage: StageProgress, event: HostFinished) -> StageProgress:
    work = stage.running.get(event.host)
    return dataclasses.replace(
        stage,
        finished=stage.finished + 1,
        failed=stage.failed if event.is_ok else (*stage.failed, event.host),
        running=_without(stage.running, event.host),
        wheels=_without(stage.wheels, event.host),
        arrived_bytes=stage.arrived_bytes + (work.total_bytes if work and event.is_ok else 0),
    )


def _wheel_works(
    stage: StageProgress, event: BuildStep | OpStarted | OpFinished | OpReused | SourcesCompiled, now_s: float
) -> StageProgress:
    wheel = stage.wheels.get(event.wheel) or WheelProgress(started_s=now_s)
    match event:
        case BuildStep():
            wheel = dataclasses.replace(wheel, step=event.text)
        case OpStarted():
            running = {**wheel.running, event.op: Work(started_s=now_s)}
            wheel = dataclasses.replace(wheel, running=running, total=event.total)
        case OpFinished():
            running = _without(wheel.running, event.op)
            wheel = dataclasses.replace(wheel, running=running, finished=wheel.finished + event.is_ok)
            stage = dataclasses.replace(stage, op_count=stage.op_count + event.is_ok)
        case OpReused():
            wheel = dataclasses.replace(wheel, total=event.total, finished=wheel.finished + 1)
            stage = dataclasses.replace(stage, reused_count=stage.reused_count + 1)
        case SourcesCompiled():
            sources = SourceCount(done=event.done, total=event.total, left_s=event.left_s)
            wheel = dataclasses.replace(wheel, sources=sources)
    return dataclasses.replace(stage, wheels={**stage.wheels, event.wheel: wheel})


def _stage(progress: Progress, stage: Stage, now_s: float) -> StageProgress:
    """Return a stage's state; one that never said that it began begins with its first event."""
    return progress.stages.get(stage) or StageProgress(stage=stage, total=0, started_s=now_s)


def _with_stage(progress: Progress, stage: StageProgress) -> Progress:
    return Progress(stages={**progress.stages, stage.stage: stage})


def _ended(stages: Mapping[Stage, StageProgress]) -> dict[Stage, StageProgress]:
    return {name: stage for name, stage in stages.items() if stage.elapsed_s is not None}


def _without(items: Mapping[K, V], key: K) -> dict[K, V]:
    others = dict(items)
    others.pop(key, None)
    return others
