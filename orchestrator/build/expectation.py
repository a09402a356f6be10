"""Says what of a compiled library is not as it was ordered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.build.order import BuildOrder, SharedObject
from orchestrator.model.ops import OpSpec
from orchestrator.model.recipe import BuildStrategy
from orchestrator.model.signature import Accelerator
from orchestrator.planning.archs import ptx_archs
from orchestrator.planning.op_needs import archs_of_op


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the library of one op must be."""

    has_device_code: bool
    """It has sources for GPUs."""
    gpu_archs: tuple[str, ...]
    ptx_archs: tuple[str, ...]
    is_stripped: bool
    private_paths: tuple[str, ...]
    """Folders of the builder that it must not name."""


def expect(spec: OpSpec, order: BuildOrder, *, has_gpu_sources: bool, private_paths: tuple[str, ...]) -> Expectation:
    """Return what an order wants of an op's library.

    The archs of HIP code are not read, and upstream's own command leaves paths of the builder everywhere.
    """
    signature, recipe = order.signature, order.recipe
    is_cuda = signature.accelerator is Accelerator.CUDA
    virtual = ptx_archs(signature.gpu_archs, recipe.ptx) if is_cuda else ()
    return Expectation(
        has_device_code=has_gpu_sources,
        gpu_archs=archs_of_op(spec, signature.gpu_archs) if is_cuda else (),
        ptx_archs=archs_of_op(spec, virtual),
        is_stripped=recipe.strip,
        private_paths=() if recipe.strategy is BuildStrategy.UPSTREAM else private_paths,
    )


def find_faults(library: SharedObject, content: bytes, expected: Expectation) -> Iterator[str]:
    """Yield everything that is wrong with a library, with the values that were found; `content` is its bytes."""
    if library.has_device_code:
        yield from _compare("GPU code", library.gpu_archs, expected.gpu_archs)
        yield from _compare("PTX", library.ptx_archs, expected.ptx_archs)
    elif expected.has_device_code:
        yield "has sources for GPUs, and no GPU code: it was compiled for the CPU alone"
    if expected.is_stripped and library.has_debug_sections:
        yield "has debug sections, though the recipe wants none"
    for path in expected.private_paths:
        found = re.search(re.escape(path.encode()) + rb"(?![\w.-])[\x21-\x7e]*", content)
        if found:
            yield f"names {found[0].decode()}, which only the builder has"


def _compare(what: str, found: Iterable[str], ordered: Iterable[str]) -> Iterator[str]:
    if set(found) != set(ordered):
        yield f"holds {what} for {_listed(found)}, ordered was {_listed(ordered)}"


def _listed(archs: Iterable[str]) -> str:
    return ", ".join(sorted(archs)) or "none"
