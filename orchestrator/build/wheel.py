"""Builds one wheel, from an order to a finished file."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename
from wheel.wheelfile import WheelFile

from orchestrator.build.assembly import Assembly, assemble
from orchestrator.build.environment import make_environment
from orchestrator.build.finishing import finish_wheel
from orchestrator.build.loading import load_ops
from orchestrator.build.manifest import Draft, make_manifest
from orchestrator.build.ops import CompiledOp, compile_ops
from orchestrator.build.order import BuildOrder, BuildTools, BuiltWheel
from orchestrator.build.steps import Workshop
from orchestrator.build.target import find_target
from orchestrator.build.tree import Tree, make_tree
from orchestrator.model.events import BuildStep
from orchestrator.model.recipe import BuildStrategy
from orchestrator.model.wheels import Manifest


def make_wheel(order: BuildOrder, tools: BuildTools) -> BuiltWheel:
    """Build the wheel on the builder and return it finished, on the controller.

    Whatever happens, nothing stays on the builder. Raises BuildError; where a step failed, its message names the log.
    """

    def tell(step: str) -> None:
        tools.reporter.emit(BuildStep(wheel=order.signature.label, text=step))

    with tools.remote.workspace() as folder:
        shop = Workshop(remote=tools.remote, folder=folder, logs=tools.logs)
        tell("environment")
        environment = make_environment(find_target(order, tools.remote), order, tools, shop)
        tell("source")
        tree = make_tree(order, environment, tools, shop)
        compiled = compile_ops(tree, tools.reporter) if order.recipe.strategy is BuildStrategy.PER_OP else ()
        tell("wheel")
        assembly = assemble(tree)
        load_ops(tree, assembly.modules)
        return _finish(tree, assembly, compiled, tools)


def _finish(tree: Tree, assembly: Assembly, compiled: tuple[CompiledOp, ...], tools: BuildTools) -> BuiltWheel:
    """Bring what setup.py made to the controller and finish it there."""
    tools.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tools.folder) as folder:
        path = Path(folder, PurePosixPath(assembly.wheel).name)
        tools.remote.get(assembly.wheel, path)
        draft = _read_draft(path, tree, assembly, compiled, tools)
        manifest = make_manifest(draft)
        finished = finish_wheel(path, Path(folder, "finished"), manifest)
        finished = finished.rename(tools.folder / path.name)
    return BuiltWheel(path=finished, manifest=_with_times(manifest, compiled))


def _read_draft(
    path: Path, tree: Tree, assembly: Assembly, compiled: tuple[CompiledOp, ...], tools: BuildTools
) -> Draft:
    with WheelFile(path) as wheel:
        members = {name: wheel.read(name) for name in wheel.namelist()}
    return Draft(
        order=tree.order,
        assembly=assembly,
        compiled=compiled,
        source_sha256=tree.source_sha256,
        version=str(parse_wheel_filename(path.name)[1]),
        members=members,
        contents=tools.read_wheel(path),
    )


def _with_times(manifest: Manifest, compiled: tuple[CompiledOp, ...]) -> Manifest:
    seconds = {item.op: item.compile_s for item in compiled}
    return replace(manifest, ops=tuple(replace(op, compile_s=seconds.get(op.name)) for op in manifest.ops))
