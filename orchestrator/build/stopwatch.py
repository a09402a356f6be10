"""Tells which step of a build begins, and keeps what each one took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.model.events import BuildStep
from orchestrator.model.timings import StageTime
from orchestrator.ports import Reporter


class Stopwatch:
    """The time of one build."""

    def __init__(self, wheel: str, reporter: Reporter, clock: Callable[[], float]) -> None:
        self._wheel = wheel
        self._reporter = reporter
        self._clock = clock
        self._started_s = clock()
        self._steps: list[StageTime] = []

    @property
    def steps(self) -> tuple[StageTime, ...]:
        """The steps that ended, in order."""
        return tuple(self._steps)

    def elapsed_s(self) -> float:
        """Return the time since the build began."""
        return self._clock() - self._started_s

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell that a step begins, and keep its time if it ends well."""
        self._reporter.emit(BuildStep(wheel=self._wheel, text=name))
        began_s = self._clock()
        yield
        self._steps.append(StageTime(name=name, elapsed_s=self._clock() - began_s))
