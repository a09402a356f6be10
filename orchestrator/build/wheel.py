"""Builds one wheel, from an order to a finished file."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename
from wheel.wheelfile import WheelFile

from orchestrator.build.assembly import Assembly, assemble
from orchestrator.build.commands import Captured, capture_commands
from orchestrator.build.cuda_home import make_cuda_home
from orchestrator.build.environment import make_environment
from orchestrator.build.finishing import finish_wheel
from orchestrator.build.loading import load_ops
from orchestrator.build.manifest import Draft, make_manifest
from orchestrator.build.ops import CompiledOps, compile_ops
from orchestrator.build.order import BuildOrder, BuildTools, BuiltWheel
from orchestrator.build.steps import Workshop
from orchestrator.build.stopwatch import Stopwatch
from orchestrator.build.target import find_target
from orchestrator.build.tree import Tree, make_tree
from orchestrator.model.recipe import BuildStrategy
from orchestrator.model.timings import BuildTimings
from orchestrator.model.wheels import Manifest
from orchestrator.planning.ops import host_packages


def make_wheel(order: BuildOrder, tools: BuildTools) -> BuiltWheel:
    """Build the wheel on the builder and return it finished, on the controller.

    Whatever happens, nothing stays on the builder but what it keeps for the next build. Raises BuildError; where a step
    failed, its message names the log.
    """
    watch = Stopwatch(order.signature.label, tools.reporter, tools.clock)
    tools.folder.mkdir(parents=True, exist_ok=True)
    with tools.remote.workspace() as folder:
        shop = Workshop(remote=tools.remote, folder=folder, logs=tools.logs)
        target = find_target(order, tools.remote)
        with watch.step("environment"):
            environment = make_environment(target, order, tools, shop)
        with watch.step("source"):
            tree = make_tree(order, environment, tools, shop)
        if order.toolchain.cuda:
            with watch.step("toolchain"):
                make_cuda_home(tree, target.tags(order.signature), tools)
        with watch.step("commands"):
            captured = capture_commands(tree)
        compiled = _compile(tree, captured, tools, watch)
        with watch.step("wheel"):
            assembly = assemble(tree)
        with watch.step("loading"):
            load_ops(tree, assembly.modules)
        path, manifest = _finish(tree, captured, assembly, compiled, tools)
    timings = BuildTimings(
        wheel=order.signature.label,
        cores=order.cores,
        memory_bytes=order.memory_bytes,
        elapsed_s=watch.elapsed_s(),
        steps=watch.steps,
        spans=compiled.spans,
        reused=compiled.reused,
    )
    return BuiltWheel(path=path, manifest=manifest, timings=timings)


def _compile(tree: Tree, captured: Captured, tools: BuildTools, watch: Stopwatch) -> CompiledOps:
    if tree.order.recipe.strategy is BuildStrategy.UPSTREAM:  # setup.py itself compiles
        return CompiledOps()
    return compile_ops(tree, captured, tools, watch.elapsed_s)


def _finish(
    tree: Tree, captured: Captured, assembly: Assembly, compiled: CompiledOps, tools: BuildTools
) -> tuple[Path, Manifest]:
    """Bring what setup.py made to the controller and finish it there; the manifest returned has compile times too."""
    with tempfile.TemporaryDirectory(dir=tools.folder) as folder:
        path = Path(folder, PurePosixPath(assembly.wheel).name)
        tools.remote.get(assembly.wheel, path)
        manifest = make_manifest(_read_draft(path, tree, captured, assembly, compiled, tools))
        needs = host_packages(tree.order.built, tree.order.specs)
        finished = finish_wheel(path, Path(folder, "finished"), manifest, needs=needs)
        finished = finished.rename(tools.folder / path.name)
    ops = tuple(replace(op, compile_s=compiled.seconds_of(op.name)) for op in manifest.ops)
    return finished, replace(manifest, ops=ops)


def _read_draft(
    path: Path, tree: Tree, captured: Captured, assembly: Assembly, compiled: CompiledOps, tools: BuildTools
) -> Draft:
    with WheelFile(path) as wheel:
        members = {name: wheel.read(name) for name in wheel.namelist()}
    return Draft(
        order=tree.order,
        assembly=assembly,
        compiled=compiled.ops,
        source_sha256=tree.source_sha256,
        version=str(parse_wheel_filename(path.name)[1]),
        members=members,
        contents=tools.read_wheel(path),
        cuda_ops=captured.cuda_ops,
        private_paths=captured.private_paths,
    )
