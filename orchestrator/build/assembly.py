"""Lets DeepSpeed's own setup.py make the wheel out of a tree whose ops are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.build.schedule import count_compilers
from orchestrator.build.steps import result_of
from orchestrator.build.tree import Tree
from orchestrator.errors import BuildError
from orchestrator.model.recipe import BuildStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What setup.py made, still on the builder."""

    wheel: str
    """Path of the wheel."""
    modules: Mapping[str, str]
    """Op → import name, of the ops that it put in."""
    compilers: Mapping[str, str]
    """Name → version line."""


def assemble(tree: Tree) -> Assembly:
    """Run `setup.py build_ext bdist_wheel`, which finds every op up to date: it writes `installed_ops` and the tags.

    With the upstream strategy it is `DS_BUILD_OPS=1 setup.py build_ext -jN bdist_wheel`, which compiles too: literally,
    but for the CPU level, which is the signature's there as well. Raises BuildError when it leaves out an op.
    """
    order = tree.order
    is_upstream = order.recipe.strategy is BuildStrategy.UPSTREAM
    jobs = count_compilers(order.built_specs, cores=order.cores, memory_bytes=order.memory_bytes)
    arguments = ("build_ext", *((f"-j{jobs}",) if is_upstream else ()), "bdist_wheel")
    result = result_of(tree.shop.run("wheel", tree.command("setup", *arguments, jobs=jobs)))
    missing = {decision.op for decision in order.built} - set(result["modules"])
    if missing:
        raise BuildError(
            f"DeepSpeed's setup.py left out {', '.join(sorted(missing))}, which the plan wants",
            hint=f"{tree.shop.logs / 'wheel.log'} says why; or take the op out of the recipe",
        )
    return Assembly(wheel=result["wheel"], modules=result["modules"], compilers=result["compilers"])
