"""Build and deploy what a plan says; imported only when a plan has work, because it imports much."""

from __future__ import annotations

import time
from collections.abc import Mapping

from orchestrator.build.toolchains.installed import InstalledToolchains
from orchestrator.build.toolchains.wheels import WheelToolchains
from orchestrator.cli.changing import make_change_ports
from orchestrator.cli.options import Building
from orchestrator.cli.wiring import Run
from orchestrator.config.ops import load_op_catalogue
from orchestrator.model.building import WheelResult
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, Policy
from orchestrator.model.events import LogLine, Note
from orchestrator.model.toolchain import ToolchainKind
from orchestrator.ports import ToolchainProvider
from orchestrator.stages.build import BuildFolders, BuildPorts, BuildTask, have_wheels
from orchestrator.stages.deploy import DeployPorts
from orchestrator.stages.plan import Planned
from orchestrator.stages.provision import provision
from orchestrator.store.compile_history import FileHistory
from orchestrator.store.op_libraries import FolderOpCache


def build_wheels(run: Run, planned: Planned, building: Building) -> tuple[WheelResult, ...]:
    """Have every wheel of a plan that a host needs."""
    with run.progress:
        return have_wheels(_task(run, planned, building), _build_ports(run))


def carry_out(
    run: Run, planned: Planned, building: Building, identity: DeploymentIdentity, policy: Policy
) -> DeploymentResult:
    """Have every wheel of a plan, and deploy."""
    with run.progress:
        return provision(
            identity,
            _task(run, planned, building),
            policy,
            build_ports=_build_ports(run),
            deploy_ports=DeployPorts(store=run.store, index=run.index, change=make_change_ports(run)),
        )


def _task(run: Run, planned: Planned, building: Building) -> BuildTask:
    return BuildTask(
        plan=planned.plan,
        facts=planned.outcomes.values(),
        controller=run.controller_facts,
        pythons=run.pythons(recipe_python=planned.plan.recipe.python),
        specs=load_op_catalogue(),
        jobs=building.jobs,
    )


def _build_ports(run: Run) -> BuildPorts:
    cache = run.settings.cache_folder
    work, logs = cache / "work", run.settings.state_folder / "logs"
    for folder in (work, logs):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return BuildPorts(
        fleet=run.fleet,
        controller=run.controller,
        store=run.store,
        index=run.index,
        toolchains=_toolchains(run),
        op_cache=FolderOpCache(cache / "ops-v1", on_note=lambda text: run.progress.emit(Note(text=text))),
        history=FileHistory(cache / "compile-history.json"),
        reporter=run.progress,
        folders=BuildFolders(work=work, logs=logs, cache=cache),
        clock=time.monotonic,
    )


def _toolchains(run: Run) -> Mapping[ToolchainKind, ToolchainProvider]:
    installed = InstalledToolchains()
    fetched = WheelToolchains(run.index, lambda text: run.progress.emit(LogLine(source="toolchain", text=text)))
    return {ToolchainKind.SYSTEM: installed, ToolchainKind.HOST: installed, ToolchainKind.WHEELS: fetched}
