"""Writes down what a wheel really holds, and refuses one that does not hold what was ordered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.version import Version

from orchestrator.build.assembly import Assembly
from orchestrator.build.expectation import expect, find_faults
from orchestrator.build.ops import CompiledOp
from orchestrator.build.order import BuildOrder, WheelContents
from orchestrator.errors import BuildError
from orchestrator.model.ops import OpDecision
from orchestrator.model.recipe import BuildStrategy
from orchestrator.model.wheels import Manifest, OpRecord
from orchestrator.planning.archs import arch_list
from orchestrator.planning.cpu import compile_flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A wheel as setup.py made it, and how it came about."""

    order: BuildOrder
    assembly: Assembly
    compiled: tuple[CompiledOp, ...]
    """Empty when setup.py itself compiled."""
    source_sha256: str
    version: str
    members: Mapping[str, bytes]
    """Path inside the wheel → content."""
    contents: WheelContents
    cuda_ops: frozenset[str]
    """The ops that have sources for GPUs."""
    private_paths: tuple[str, ...]
    """Folders of the builder that no library may name."""


def make_manifest(draft: Draft) -> Manifest:
    """Return the manifest; every number in it was read from the wheel.

    Raises BuildError when DeepSpeed's own record differs, or a library is not the one that was compiled and loaded or
    not what was ordered.
    """
    order = draft.order
    _check_deepspeed_record(draft)
    ops = tuple(_record(decision, draft) for decision in order.decisions)
    _check_libraries(ops, draft)
    return Manifest(
        build_key=order.build_key,
        signature=order.signature,
        recipe=order.recipe.name,
        recipe_digest=order.recipe.digest(),
        source=order.recipe.source,
        source_sha256=draft.source_sha256,
        deepspeed_version=draft.version,
        ops=ops,
        compilers=draft.assembly.compilers,
        flags=_flags(order),
        glibc=_highest(op.glibc for op in ops),
        glibcxx=_highest(op.glibcxx for op in ops),
    )


def _check_deepspeed_record(draft: Draft) -> None:
    believed = {op for op, is_installed in draft.contents.installed_ops.items() if is_installed}
    ordered = {decision.op for decision in draft.order.built}
    if believed != ordered:
        raise BuildError(
            f"the wheel's installed_ops are {', '.join(sorted(believed)) or 'none'}; "
            f"ordered were {', '.join(sorted(ordered)) or 'none'}"
        )
    accelerator = draft.order.signature.accelerator.deepspeed_name
    if draft.contents.accelerator not in (None, accelerator):
        raise BuildError(f"DeepSpeed made a wheel for {draft.contents.accelerator}, ordered was {accelerator}")


def _record(decision: OpDecision, draft: Draft) -> OpRecord:
    if decision not in draft.order.built:
        return OpRecord(name=decision.op, is_built=False, reason=decision.reason)
    module = draft.assembly.modules[decision.op]
    path = _path_of(module, draft)
    library = draft.contents.shared_objects[path]
    is_empty = any(spec.is_empty for spec in draft.order.specs if spec.name == decision.op)
    return OpRecord(
        name=decision.op,
        is_built=True,
        module=None if is_empty else module,
        path=path,
        sha256=hashlib.sha256(draft.members[path]).hexdigest(),
        size_bytes=len(draft.members[path]),
        gpu_archs=library.gpu_archs,
        ptx_archs=library.ptx_archs,
        glibc=library.glibc,
        glibcxx=library.glibcxx,
        needed=library.needed,
        search_path=library.search_path,
    )


def _path_of(module: str, draft: Draft) -> str:
    stem = module.replace(".", "/") + "."
    path = next((path for path in draft.contents.shared_objects if path.startswith(stem)), None)
    if path is None:
        raise BuildError(f"the wheel has no library for {module}, though setup.py says so")
    return path


def _check_libraries(ops: Iterable[OpRecord], draft: Draft) -> None:
    compiled = {item.op: item.sha256 for item in draft.compiled}
    faults = []
    for op in ops:
        if compiled.get(op.name, op.sha256) != op.sha256:
            faults.append(f"setup.py compiled {op.name} again, with flags of its own")
        faults += [f"{op.name} {fault}" for fault in _faults_of(op, draft)]
    if faults:
        raise BuildError("\n  ".join(("the wheel is not what was ordered:", *faults)))


def _faults_of(op: OpRecord, draft: Draft) -> Iterator[str]:
    if op.path is None:
        return
    spec = next(spec for spec in draft.order.specs if spec.name == op.name)
    has_gpu_sources = op.name in draft.cuda_ops
    expected = expect(spec, draft.order, has_gpu_sources=has_gpu_sources, private_paths=draft.private_paths)
    yield from find_faults(draft.contents.shared_objects[op.path], draft.members[op.path], expected)
    if op.foreign_folders and draft.order.recipe.strategy is not BuildStrategy.UPSTREAM:
        yield f"looks for libraries in {', '.join(op.foreign_folders)}, which only the builder has"


def _flags(order: BuildOrder) -> dict[str, str]:
    flags = compile_flags(order.signature.cpu_level)
    found = {"march": flags.march, "simd": flags.simd}
    if order.signature.torch_cuda:
        found["archs"] = arch_list(order.signature.gpu_archs, order.recipe.ptx)
    return {name: text for name, text in found.items() if text}


def _highest(versions: Iterable[str | None]) -> str | None:
    return max((version for version in versions if version), key=Version, default=None)
