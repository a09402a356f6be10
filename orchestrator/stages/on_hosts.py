"""Run one task on every host, telling the reporter how each one ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from orchestrator.model.events import HostFinished, HostProgress, Stage, StageFinished, StageStarted
from orchestrator.model.outcome import Outcomes
from orchestrator.ports import Fleet, Remote, Reporter

T = TypeVar("T")


def on_hosts(
    stage: Stage, hosts: Sequence[str], task: Callable[[Remote], T], *, fleet: Fleet, reporter: Reporter
) -> Outcomes[T]:
    """Run `task` on `hosts` at once and return all outcomes, in the order of `hosts`; a stage of none is not told."""
    if not hosts:
        return Outcomes(items=())
    reporter.emit(StageStarted(stage=stage, total=len(hosts)))
    for host in hosts:
        reporter.emit(HostProgress(stage=stage, host=host))
    outcomes = fleet.each(hosts, task, on_done=lambda outcome: reporter.emit(HostFinished.of(stage, outcome)))
    longest_s = max(outcome.elapsed_s for outcome in outcomes.items)
    reporter.emit(StageFinished(stage=stage, elapsed_s=longest_s))
    return outcomes
