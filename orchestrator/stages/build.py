"""Have the wheel of every signature in a plan: from the store, from a host, or built now."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.wheel import make_wheel
from orchestrator.errors import DsdeployError, StoreError
from orchestrator.model.events import HostFinished, Stage, StageFinished, StageStarted
from orchestrator.model.facts import Facts
from orchestrator.model.ops import OpSpec
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.plan import DeployPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.wheels import Artifact, make_wheel_filename
from orchestrator.planning.deployment import check_nothing_is_refused
from orchestrator.planning.ops import ops_of
from orchestrator.ports import Fleet, PackageIndex, Remote, Reporter, Store
from orchestrator.store.wheel_files import read_artifact

_RESERVED_BYTES = 1_000_000_000
"""Memory that a builder keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFolders:
    """Where a build works on the controller."""

    work: Path
    logs: Path
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPorts:
    """What building acts through."""

    fleet: Fleet
    controller: Callable[[], Remote]
    """Opens the controller's own agent at first use."""
    store: Store
    index: PackageIndex
    reporter: Reporter
    folders: BuildFolders
    clock: Callable[[], float]
    """Seconds since any fixed moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTask:
    """What is to be built."""

    plan: DeployPlan
    facts: Mapping[str, Facts]
    controller: Callable[[], Facts]
    pythons: Mapping[str, str]
    """Host → target interpreter."""
    specs: Sequence[OpSpec]
    """The whole catalogue."""
    jobs: int | None = None
    """Compilers at once; None: as many as the builder has cores."""


def have_wheels(task: BuildTask, ports: BuildPorts) -> Outcomes[Artifact]:
    """Return the wheel of every signature that a host needs; an outcome's `host` is the signature's build key.

    One signature that fails does not stop the others. Raises PlanError, before anything is done, when a required op
    is refused.
    """
    check_nothing_is_refused(task.plan)
    wanted = [wheel for wheel in task.plan.wheels if _is_wanted(wheel, task.plan)]
    to_build = [wheel for wheel in wanted if wheel.verdict is WheelVerdict.BUILD]
    started = ports.clock()
    if to_build:
        ports.reporter.emit(StageStarted(stage=Stage.BUILD, total=len(to_build)))
    outcomes = tuple(_outcome(wheel, task, ports) for wheel in wanted)
    if to_build:
        ports.reporter.emit(StageFinished(stage=Stage.BUILD, elapsed_s=ports.clock() - started))
    return Outcomes(items=outcomes)


def failed_wheels(outcomes: Outcomes[Artifact], plan: DeployPlan) -> tuple[Outcome[object], ...]:
    """Return the failures with the signatures' labels, which say more to people than build keys."""
    labels = {str(wheel.build_key): wheel.signature.label for wheel in plan.wheels}
    return tuple(replace(outcome, host=labels[outcome.host]) for outcome in outcomes.failed)


def _is_wanted(wheel: WheelPlan, plan: DeployPlan) -> bool:
    """Whether a host will get it; a wheel that all hosts keep need not even be in the store."""
    to_install = {host.host for host in plan.of_verdict(HostVerdict.INSTALL)}
    return wheel.verdict is WheelVerdict.BUILD or not to_install.isdisjoint(wheel.hosts)


def _outcome(wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> Outcome[Artifact]:
    started = ports.clock()
    artifact, failure = None, None
    try:
        artifact = _take(wheel, task, ports)
    except DsdeployError as error:
        failure = Failure.of(error)
    elapsed_s = ports.clock() - started
    outcome = Outcome(host=wheel.build_key, value=artifact, failure=failure, elapsed_s=elapsed_s)
    if wheel.verdict is WheelVerdict.BUILD:
        ports.reporter.emit(HostFinished.of(Stage.BUILD, replace(outcome, host=wheel.signature.label)))
    return outcome


def _take(wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> Artifact:
    match wheel.verdict:
        case WheelVerdict.REUSE:
            return _reuse(wheel, ports.store)
        case WheelVerdict.FETCH:
            return _fetch(wheel, task, ports)
        case WheelVerdict.BUILD:
            return _build(wheel, task, ports)


def _reuse(wheel: WheelPlan, store: Store) -> Artifact:
    assert wheel.sha256 is not None  # the plan's rule for a wheel that exists
    artifact = store.get(wheel.sha256)
    if artifact is None:
        raise StoreError(
            f"the store does not hold {wheel.sha256[:12]}",
            hint="make a new plan; `dsdeploy provision --force` builds it again whatever the hosts have",
        )
    return artifact


def _fetch(wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> Artifact:
    """Copy the wheel back from a host that holds it; the store checks it like any other."""
    holder, version = _find_holder(wheel, task.facts)
    filename = make_wheel_filename(version, wheel.signature)
    with tempfile.TemporaryDirectory(dir=ports.folders.work) as folder:
        copy = Path(folder, filename)
        ports.fleet.remote(holder).get(f"cache:wheels/{wheel.sha256}/{filename}", copy)
        return ports.store.add(copy, read_artifact(copy).manifest)


def _find_holder(wheel: WheelPlan, facts: Mapping[str, Facts]) -> tuple[str, str]:
    """Return a host that holds the wheel, and the wheel's version; a cache may be gone since a saved plan was made."""
    for host in wheel.hosts:
        stamp = facts[host].stamp
        if stamp and stamp.wheel_sha256 == wheel.sha256 and wheel.sha256 in facts[host].cached_wheels:
            return host, stamp.version
    raise StoreError(f"no host holds {(wheel.sha256 or '')[:12]} any more", hint="make a new plan")


def _build(wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> Artifact:
    """Build under the key's lock; what another process built while we waited is taken instead."""
    before = ports.store.find(wheel.build_key)
    with ports.store.lock(wheel.build_key):
        now = ports.store.find(wheel.build_key)
        if now is not None and now != before:
            return now
        with tempfile.TemporaryDirectory(dir=ports.folders.work) as folder:
            built = make_wheel(_order(wheel, task), _tools(wheel, ports, Path(folder)))
            return ports.store.add(built.path, built.manifest)


def _order(wheel: WheelPlan, task: BuildTask) -> BuildOrder:
    assert wheel.builder is not None  # the plan's rule for BUILD
    host = wheel.builder.host
    system = (task.controller() if host is None else task.facts[host]).system
    return BuildOrder(
        signature=wheel.signature,
        recipe=task.plan.recipe,
        build_key=wheel.build_key,
        decisions=wheel.ops,
        specs=ops_of(task.specs, wheel.signature.accelerator, task.plan.recipe),
        python=None if host is None else task.pythons[host],
        cores=task.jobs or system.cpu_cores,
        memory_bytes=max(system.memory_available_bytes - _RESERVED_BYTES, 0),
    )


def _tools(wheel: WheelPlan, ports: BuildPorts, folder: Path) -> BuildTools:
    assert wheel.builder is not None
    host = wheel.builder.host
    return BuildTools(
        remote=ports.controller() if host is None else ports.fleet.remote(host),
        index=ports.index,
        reporter=ports.reporter,
        read_wheel=read_wheel,
        folder=folder,
        logs=ports.folders.logs / wheel.build_key,
        cache=ports.folders.cache,
    )
