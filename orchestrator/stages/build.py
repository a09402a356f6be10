"""Have the wheel of every signature in a plan: from the store, from a host, or built now."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.wheel import make_wheel
from orchestrator.errors import DsdeployError, PlanError
from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.events import HostFinished, Stage, StageFinished, StageStarted
from orchestrator.model.facts import Facts
from orchestrator.model.ops import OpSpec
from orchestrator.model.outcome import Failure
from orchestrator.model.plan import DeployPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.toolchain import ToolchainKind
from orchestrator.planning.deployment import check_nothing_is_refused
from orchestrator.planning.ops import ops_of
from orchestrator.ports import CompileHistory, Fleet, OpCache, PackageIndex, Remote, Reporter, Store, ToolchainProvider
from orchestrator.stages.fetch import take_from_host, take_from_store

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
    toolchains: Mapping[ToolchainKind, ToolchainProvider]
    op_cache: OpCache
    history: CompileHistory
    reporter: Reporter
    folders: BuildFolders
    clock: Callable[[], float]
    """Seconds since any fixed moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTask:
    """What is to be built."""

    plan: DeployPlan
    facts: Mapping[str, Facts]
    controller: Callable[[str], Facts]
    pythons: Mapping[str, str]
    """Host → target interpreter."""
    specs: Sequence[OpSpec]
    """The whole catalogue."""
    jobs: int | None = None
    """Compilers at once, at most; None: as many as the builder has cores."""


def have_wheels(task: BuildTask, ports: BuildPorts) -> tuple[WheelResult, ...]:
    """Return what became of the wheel of every signature that a host needs.

    One signature that fails does not stop the others; a required op that is refused is a failure of its signature.
    """
    wanted = [wheel for wheel in task.plan.wheels if _is_wanted(wheel, task.plan)]
    to_build = [wheel for wheel in wanted if wheel.verdict is WheelVerdict.BUILD]
    started = ports.clock()
    if to_build:
        ports.reporter.emit(StageStarted(stage=Stage.BUILD, total=len(to_build)))
    results = tuple(_have(wheel, task, ports) for wheel in wanted)
    if to_build:
        ports.reporter.emit(StageFinished(stage=Stage.BUILD, elapsed_s=ports.clock() - started))
    return results


def _is_wanted(wheel: WheelPlan, plan: DeployPlan) -> bool:
    """Whether a host will get it; a wheel that all hosts keep need not even be in the store."""
    to_install = {host.host for host in plan.of_verdict(HostVerdict.INSTALL)}
    return wheel.verdict is WheelVerdict.BUILD or not to_install.isdisjoint(wheel.hosts)


def _have(wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> WheelResult:
    started = ports.clock()
    result = WheelResult(
        signature=wheel.signature, build_key=wheel.build_key, hosts=wheel.hosts, state=WheelState.STORED
    )
    try:
        result = _take(result, wheel, task, ports)
    except DsdeployError as error:
        result = replace(result, state=WheelState.FAILED, failure=Failure.of(error), logs=_find_logs(wheel, ports))
    result = replace(result, elapsed_s=ports.clock() - started)
    if wheel.verdict is WheelVerdict.BUILD:
        ports.reporter.emit(HostFinished.of(Stage.BUILD, result.outcome))
    return result


def _take(result: WheelResult, wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> WheelResult:
    match wheel.verdict:
        case WheelVerdict.REUSE:
            return replace(result, artifact=take_from_store(wheel, ports.store))
        case WheelVerdict.FETCH:
            artifact = take_from_host(wheel, task.facts, fleet=ports.fleet, store=ports.store, work=ports.folders.work)
            return replace(result, state=WheelState.FETCHED, artifact=artifact)
        case WheelVerdict.BUILD:
            return _build(result, wheel, task, ports)


def _build(result: WheelResult, wheel: WheelPlan, task: BuildTask, ports: BuildPorts) -> WheelResult:
    """Build under the key's lock; what another process built while we waited is taken instead."""
    check_nothing_is_refused([wheel])
    order = _order(wheel, task)
    before = ports.store.find(wheel.build_key)
    with ports.store.lock(wheel.build_key):
        now = ports.store.find(wheel.build_key)
        if now is not None and now != before:
            return replace(result, artifact=now)
        with tempfile.TemporaryDirectory(dir=ports.folders.work) as folder:
            built = make_wheel(order, _tools(wheel, ports, Path(folder)))
            artifact = ports.store.add(built.path, built.manifest)
    return replace(
        result,
        state=WheelState.BUILT,
        artifact=artifact,
        timings=built.timings,
        logs=_find_logs(wheel, ports),
    )


def _order(wheel: WheelPlan, task: BuildTask) -> BuildOrder:
    assert wheel.builder is not None  # the plan's rule for BUILD
    if wheel.builder.toolchain is None:
        raise PlanError(
            f"the plan does not say with what {wheel.signature.label} is compiled: an older dsdeploy wrote it",
            hint="write a new one: dsdeploy plan --out FILE",
        )
    host = wheel.builder.host
    machine = task.controller(wheel.signature.python_tag) if host is None else task.facts[host]
    return BuildOrder(
        signature=wheel.signature,
        recipe=task.plan.recipe,
        build_key=wheel.build_key,
        decisions=wheel.ops,
        specs=ops_of(task.specs, wheel.signature.accelerator, task.plan.recipe),
        toolchain=wheel.builder.toolchain,
        python=None if host is None else task.pythons[host],
        cores=task.jobs or machine.system.cpu_cores,
        memory_bytes=max(machine.system.memory_available_bytes - _RESERVED_BYTES, 0),
        ccache=machine.ccache.path if machine.ccache and machine.ccache.is_working else None,
    )


def _tools(wheel: WheelPlan, ports: BuildPorts, folder: Path) -> BuildTools:
    assert wheel.builder is not None
    host = wheel.builder.host
    return BuildTools(
        remote=ports.controller() if host is None else ports.fleet.remote(host),
        index=ports.index,
        toolchains=ports.toolchains,
        op_cache=ports.op_cache,
        history=ports.history,
        reporter=ports.reporter,
        clock=ports.clock,
        read_wheel=read_wheel,
        folder=folder,
        logs=_logs(wheel, ports),
        cache=ports.folders.cache,
    )


def _logs(wheel: WheelPlan, ports: BuildPorts) -> Path:
    return ports.folders.logs / wheel.build_key


def _find_logs(wheel: WheelPlan, ports: BuildPorts) -> str | None:
    """Name the folder with the logs of a build, if it got so far as to leave one."""
    logs = _logs(wheel, ports)
    return str(logs) if wheel.verdict is WheelVerdict.BUILD and logs.exists() else None
