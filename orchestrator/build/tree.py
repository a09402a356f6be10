"""Unpacks DeepSpeed's source on the builder."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.build.environment import Environment
from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.steps import Workshop
from orchestrator.errors import BuildError
from orchestrator.planning.cpu import compile_flags
from orchestrator.ports import Command, PackageFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A DeepSpeed source tree on the builder, ready to be built in its environment."""

    order: BuildOrder
    shop: Workshop
    environment: Environment
    folder: str
    source_sha256: str
    """Digest of the archive that it was unpacked from."""
    driver: str
    """Path of build_ops.py."""

    @property
    def cuda_home(self) -> str:
        """Where the CUDA toolkit of this build is linked together."""
        return f"{self.folder}/.dsdeploy/cuda"

    @property
    def variables(self) -> Mapping[str, str]:
        """Return the environment variables of everything that runs in the tree."""
        found = dict(self.environment.variables)
        if self.order.toolchain.cuda:
            found |= {"CUDA_HOME": self.cuda_home, "LIBRARY_PATH": f"{self.cuda_home}/lib64/stubs"}
        return found

    def command(self, *arguments: str, jobs: int = 1) -> Command:
        """Return the command that runs build_ops.py in this tree, with at most so many compilers at once."""
        flags = compile_flags(self.order.signature.cpu_level)
        debug = "STRIP" if self.order.recipe.strip else "KEEP"
        return Command(
            argv=(self.environment.python, self.driver, flags.march or "", flags.simd, debug, *arguments),
            cwd=self.folder,
            environment={**self.variables, "MAX_JOBS": str(jobs), "DS_NVCC_THREADS": "1"},
        )


def make_tree(order: BuildOrder, environment: Environment, tools: BuildTools, shop: Workshop) -> Tree:
    """Bring the recipe's source to the workshop and unpack it there."""
    source = tools.index.source(order.recipe.source)
    archive = shop.path(source.filename)
    shop.remote.put(source.path, archive)
    unpack = (environment.python, "-m", "tarfile", "-e", archive, shop.path("source"))
    shop.run("source", Command(argv=unpack, environment={"PYTHONPATH": ""}))
    return Tree(
        order=order,
        shop=shop,
        environment=environment,
        folder=shop.path("source", top_folder(source)),
        source_sha256=source.sha256,
        driver=shop.send_driver("build_ops"),
    )


def top_folder(source: PackageFile) -> str:
    """Return the one folder that all of a source archive lies in; raises BuildError when it is none or several."""
    with tarfile.open(source.path) as archive:
        tops = {name.removeprefix("./").split("/")[0] for name in archive.getnames()}
    if len(tops) != 1:
        raise BuildError(f"{source.filename} holds {len(tops)} folders at its top, not one: is it DeepSpeed's source?")
    return tops.pop()
