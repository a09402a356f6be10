"""Gives a build the CUDA toolkit that its plan chose."""

from __future__ import annotations

from orchestrator.build.order import BuildTools
from orchestrator.build.steps import DRIVERS
from orchestrator.build.toolchains.linking import CudaHome, LinkedHome, StageCache, link_cuda_home
from orchestrator.build.tree import Tree
from orchestrator.ports import Command, Remote, TargetTags

_STAGES = "cache:cuda-stages"
"""On the builder: what nvcc's inner tools have made before."""
_SCRIPT = "cuda_stage.py"


def make_cuda_home(tree: Tree, tags: TargetTags, tools: BuildTools) -> LinkedHome:
    """Link the order's toolkit into the tree; raises BuildError, and TransferError when it cannot be fetched."""
    order, shop, python = tree.order, tree.shop, tree.environment.python
    provider = tools.toolchains[order.toolchain.kind]
    home = CudaHome(
        folder=tree.cuda_home,
        roots=provider.provide(order.toolchain, shop.remote, tags, python),
        compiler=order.toolchain.cxx,
        stage_cache=_make_stage_cache(shop.remote, python),
    )
    return link_cuda_home(shop, python, home)


def _make_stage_cache(remote: Remote, python: str) -> StageCache:
    remote.put(DRIVERS / _SCRIPT, f"{_STAGES}/{_SCRIPT}")
    told = remote.run(Command(argv=(python, "-I", "-S", "-c", "import os; print(os.getcwd())"), cwd=_STAGES))
    folder = told.tail[-1]
    return StageCache(script=f"{folder}/{_SCRIPT}", folder=f"{folder}/results")
