"""Runs one cell: a push, a fault exactly in one step of it, and whatever brings the hosts to rest."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testcluster.state import Cluster

from faultsbench.cells import Cell, Fault, Rest, Step
from faultsbench.clusters import views_of
from faultsbench.controller import Answer, Controller, Started, reach_hosts
from faultsbench.disks import Disk, Wheel, read_disk
from faultsbench.errors import BenchError, NotReachedError
from faultsbench.faults import break_ops, inflict
from faultsbench.hosts import HostView
from faultsbench.judging import Evidence, judge
from faultsbench.moments import Scene, reach
from faultsbench.results import CellResult

_ATTEMPTS = 3
"""A host that went on before it could be held is no finding: the cell is run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Hosts, the two wheels, and the user who deploys them."""

    cluster: Cluster
    wheels: tuple[Wheel, Wheel]
    controller: Controller
    logs: Path
    say: Callable[[str], None]

    @property
    def views(self) -> tuple[HostView, ...]:
        """The hosts."""
        return views_of(self.cluster)

    def push(self, output: Path, wheel: Wheel) -> Started:
        """Start to push a wheel."""
        return self.controller.start(output, "push", *reach_hosts(self.cluster), "--wheel", wheel.path, "--yes")

    def open_scene(self, logs: Path, wheel: Wheel) -> Scene:
        """Start a push and give the hosts their parts: the second one suffers."""
        first, victim, *others, spoiler = self.views
        started = self.push(logs / "push.json", wheel)
        return Scene(started=started, victim=victim, spoiler=spoiler, others=(first, *others))

    def recover(self, output: Path) -> Answer:
        """End what is pending."""
        return self.controller.run(output, "recover", *reach_hosts(self.cluster))

    def read(self, views: Sequence[HostView]) -> dict[str, Disk]:
        """Read disks."""
        return {view.name: read_disk(view, self.wheels) for view in views}


def make_ready(ground: Ground) -> None:
    """Give all hosts one of the wheels, whole. Raises BenchError when that cannot be had."""
    versions = {disk.version for disk in ground.read(ground.views).values()}
    if len(versions) == 1 and None not in versions:
        return
    answer = ground.push(ground.logs / "ready.json", ground.wheels[0]).answer()
    faults = [fault for disk in ground.read(ground.views).values() for fault in disk.faults]
    if answer.exit_code != 0 or faults:
        raise BenchError(f"the hosts could not be made ready: {answer.stderr[-2000:]} {faults[:9]}")


def run_cell(cell: Cell, ground: Ground) -> CellResult:
    """Run a cell, and judge it by what is on the hosts' disks. Raises BenchError when it cannot be run."""
    for attempt in range(_ATTEMPTS):
        started = time.monotonic()
        with suppress(NotReachedError):
            evidence = _gather(cell, ground, ground.logs / f"{cell.name.replace(':', '-')}-{attempt}")
            return make_result(cell, evidence, time.monotonic() - started)
        ground.say(f"{cell.name}: the run was not where it was wanted; once more")
        answer = ground.recover(ground.logs / "again.json")
        if answer.exit_code != 0:
            raise BenchError(f"after a run without a fault the hosts do not come to rest: {answer.stderr[-2000:]}")
    raise BenchError(f"{cell.name}: the step could not be hit in {_ATTEMPTS} runs")


def make_result(cell: Cell, evidence: Evidence, elapsed_s: float) -> CellResult:
    """Return what counts of a cell."""
    sides = {side.value if (side := evidence.side_of(disk)) else "neither" for disk in evidence.after.values()}
    return CellResult(
        cell=cell.name,
        outcome=sides.pop() if len(sides) == 1 else "mixed",
        exit_code=evidence.answer.exit_code,
        ends=dict(evidence.ends) if evidence.answer.document else {},
        rest=cell.rest.value,
        elapsed_s=elapsed_s,
        findings=judge(cell, evidence),
    )


def _gather(cell: Cell, ground: Ground, logs: Path) -> Evidence:
    shutil.rmtree(logs, ignore_errors=True)
    before = ground.read(ground.views)
    versions = {disk.version for disk in before.values()}
    old, new = sorted(ground.wheels, key=lambda wheel: wheel.version not in versions)
    scene = ground.open_scene(logs, new)
    with _suffering(cell, scene):
        answer = scene.started.answer()
        ended = ground.read(_settled(cell, scene, ground.views))
    if cell.rest is Rest.RECOVER:
        rest = ground.recover(logs / "recover.json")
    else:
        rest = ground.push(logs / "next.json", new).answer()
    return Evidence(
        old=old,
        new=new,
        victim=scene.victim.name,
        before=before,
        answer=answer,
        ended=ended,
        rest=rest,
        after=ground.read(ground.views),
    )


def _settled(cell: Cell, scene: Scene, views: Sequence[HostView]) -> list[HostView]:
    """Return the hosts on which nothing may go on when the run has ended: of a killed one they have yet to hear."""
    if cell.fault is Fault.CONTROLLER:
        return []
    return [view for view in views if view != scene.victim or not cell.fault.cuts_off]


@contextmanager
def _suffering(cell: Cell, scene: Scene) -> Iterator[None]:
    """Let the fault come in its step; it has ended at the end. Raises NotReachedError when it could not."""
    ends = [break_ops(scene.spoiler)] if cell.step is Step.ROLLBACK else []
    try:
        reach(cell.step, scene)
        ends.append(inflict(cell.fault, scene.victim, scene.started.process))
        scene.thaw()
        yield
    finally:
        scene.thaw()
        scene.started.answer()
        for end in reversed(ends):
            end()
