"""Writes down what a wheel really holds, and refuses one that does not hold what was ordered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.version import Version

from orchestrator.build.assembly import Assembly
from orchestrator.build.ops import CompiledOp
from orchestrator.build.order import BuildOrder, WheelContents
from orchestrator.errors import BuildError
from orchestrator.model.ops import OpDecision
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


def make_manifest(draft: Draft) -> Manifest:
    """Return the manifest; every number in it was read from the wheel.

    Raises BuildError when DeepSpeed's own record differs, or a library is not the one that was compiled and loaded.
    """
    order = draft.order
    _check_installed_ops(draft)
    ops = tuple(_record(decision, draft) for decision in order.decisions)
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


def _check_installed_ops(draft: Draft) -> None:
    believed = {op for op, is_installed in draft.contents.installed_ops.items() if is_installed}
    ordered = {decision.op for decision in draft.order.built}
    if believed != ordered:
        raise BuildError(
            f"the wheel's installed_ops are {', '.join(sorted(believed)) or 'none'}; "
            f"ordered were {', '.join(sorted(ordered)) or 'none'}"
        )


def _record(decision: OpDecision, draft: Draft) -> OpRecord:
    if decision not in draft.order.built:
        return OpRecord(name=decision.op, is_built=False, reason=decision.reason)
    module = draft.assembly.modules[decision.op]
    path = _path_of(module, draft)
    library = draft.contents.shared_objects[path]
    digest = hashlib.sha256(draft.members[path]).hexdigest()
    _check_library(decision.op, digest, is_unstripped=library.has_debug_sections, draft=draft)
    is_empty = any(spec.is_empty for spec in draft.order.specs if spec.name == decision.op)
    return OpRecord(
        name=decision.op,
        is_built=True,
        module=None if is_empty else module,
        path=path,
        sha256=digest,
        size_bytes=len(draft.members[path]),
        glibc=library.glibc,
        glibcxx=library.glibcxx,
        needed=library.needed,
    )


def _path_of(module: str, draft: Draft) -> str:
    stem = module.replace(".", "/") + "."
    path = next((path for path in draft.contents.shared_objects if path.startswith(stem)), None)
    if path is None:
        raise BuildError(f"the wheel has no library for {module}, though setup.py says so")
    return path


def _check_library(op: str, digest: str, *, is_unstripped: bool, draft: Draft) -> None:
    compiled = next((item for item in draft.compiled if item.op == op), None)
    if compiled is not None and compiled.sha256 != digest:
        raise BuildError(f"setup.py compiled {op} again, with flags of its own")
    if draft.order.recipe.strip and is_unstripped:
        raise BuildError(f"{op} has debug sections, though the recipe wants none")


def _flags(order: BuildOrder) -> dict[str, str]:
    flags = compile_flags(order.signature.cpu_level)
    found = {"march": flags.march, "simd": flags.simd}
    if order.signature.torch_cuda:
        found["archs"] = arch_list(order.signature.gpu_archs, order.recipe.ptx)
    return {name: text for name, text in found.items() if text}


def _highest(versions: Iterable[str | None]) -> str | None:
    return max((version for version in versions if version), key=Version, default=None)
