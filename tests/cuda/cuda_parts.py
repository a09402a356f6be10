"""What CUDA builds act through: a real torch with CUDA, NVIDIA's real toolkit from wheels, this machine as builder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fakes.op_cache import MemoryHistory, MemoryOpCache
from fakes.reporter import FakeReporter

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.commands import Captured, capture_commands
from orchestrator.build.cuda_home import make_cuda_home
from orchestrator.build.environment import make_environment
from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.steps import Workshop
from orchestrator.build.target import find_target
from orchestrator.build.toolchains.wheels import WheelToolchains
from orchestrator.build.tree import Tree, make_tree
from orchestrator.config.ops import load_op_catalogue
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.facts import Facts
from orchestrator.model.ops import OpVerdict
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind, ToolchainPolicy
from orchestrator.model.wheels import make_build_key
from orchestrator.planning.ops import decide_ops, ops_of
from orchestrator.planning.toolchains import choose_toolchain
from orchestrator.ports import PackageIndex, Remote
from orchestrator.stages.probe import read_facts

TORCH = "2.11.0"
RECIPE = Recipe(
    name="cuda",
    source=Source(kind=SourceKind.VERSION, value="0.19.8"),
    accelerator=Accelerator.CUDA,
    toolchain=ToolchainPolicy.WHEELS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaWorld:
    """A builder with torch for CUDA, and what is known of it."""

    remote: Remote
    index: PackageIndex
    python: str
    facts: Facts
    scratch: Path
    stages: Path
    """Where the builder keeps what nvcc's inner tools have made."""

    def signature(self, *archs: str) -> Signature:
        """Return the signature of a host like this machine, but with GPUs."""
        system, interpreter = self.facts.system, self.facts.interpreter
        assert interpreter is not None
        assert interpreter.torch is not None
        assert system.glibc is not None
        assert system.glibcxx is not None
        return Signature(
            accelerator=Accelerator.CUDA,
            gpu_archs=archs,
            torch_version=interpreter.torch.version,
            torch_cuda=interpreter.torch.cuda,
            cxx11_abi=interpreter.torch.cxx11_abi,
            python_tag=interpreter.abi_tag,
            machine=system.machine,
            cpu_level=CpuLevel.X86_64_V3 if system.machine == "x86_64" else CpuLevel.ARMV8,
            glibc=system.glibc,
            glibcxx=system.glibcxx,
        )

    def order(self, *ops: str, archs: tuple[str, ...] = ("sm_90",)) -> BuildOrder:
        """Return an order for these ops, all as planning decides it."""
        recipe = replace(RECIPE, wanted=ops)
        signature = self.signature(*archs)
        toolchain = choose_toolchain(self.facts, signature, recipe, is_controller=True)
        assert isinstance(toolchain, Toolchain), toolchain
        catalogue = load_op_catalogue()
        return BuildOrder(
            signature=signature,
            recipe=recipe,
            build_key=make_build_key(signature, recipe),
            decisions=decide_ops(catalogue, recipe, signature, self.facts, toolchain),
            specs=ops_of(catalogue, Accelerator.CUDA, recipe),
            toolchain=toolchain,
            python=self.python,
            cores=self.facts.system.cpu_cores,
            memory_bytes=self.facts.system.memory_available_bytes,
        )

    def tools(self, folder: Path) -> BuildTools:
        """Return tools that remember nothing of builds before."""
        return BuildTools(
            remote=self.remote,
            index=self.index,
            reporter=FakeReporter(),
            read_wheel=read_wheel,
            folder=folder / "wheels",
            logs=folder / "logs",
            cache=folder / "cache",
            toolchains={ToolchainKind.WHEELS: WheelToolchains(self.index, lambda _text: None)},
            op_cache=MemoryOpCache(folder / "ops"),
            history=MemoryHistory(),
            clock=time.monotonic,
        )

    @contextmanager
    def tree(self, order: BuildOrder, folder: Path) -> Iterator[Tree]:
        """Make a tree that is ready to be compiled, toolkit and all."""
        tools = self.tools(folder)
        with self.remote.workspace() as workspace:
            shop = Workshop(remote=self.remote, folder=workspace, logs=tools.logs)
            tools.logs.mkdir(parents=True)
            target = find_target(order, self.remote)
            tree = make_tree(order, make_environment(target, order, tools, shop), tools, shop)
            make_cuda_home(tree, target.tags(order.signature), tools)
            yield tree

    def capture(self, order: BuildOrder, folder: Path) -> Captured:
        """Return the commands of an order's ops."""
        with self.tree(order, folder) as tree:
            return capture_commands(tree)


def make_world(remote: Remote, python: str, cache: Path, scratch: Path) -> CudaWorld:
    return CudaWorld(
        remote=remote,
        index=PipIndex(cache / "index", environ=os.environ),
        python=python,
        facts=read_facts(remote, python),
        scratch=scratch,
        stages=cache / "dsdeploy" / "cuda-stages",
    )


def with_verdicts(order: BuildOrder, verdicts: Mapping[str, OpVerdict]) -> BuildOrder:
    """Return the order with other verdicts for some ops, whatever planning says of them."""
    decisions = tuple(
        replace(decision, verdict=verdicts.get(decision.op, decision.verdict)) for decision in order.decisions
    )
    return replace(order, decisions=decisions)


def find_python(cache: Path) -> str:
    """Return the interpreter of `$DSDEPLOY_CUDA_VENV`, or of an environment with torch that is made at first use."""
    named = os.environ.get("DSDEPLOY_CUDA_VENV")
    if named:
        return str(Path(named, "bin", "python"))
    folder = cache / f"torch-{TORCH}-cuda-cp{sys.version_info.major}{sys.version_info.minor}"
    if not folder.exists():
        draft = folder.with_name(f".{folder.name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", draft], check=True)
        # The main index's torch 2.11.0 is the one for CUDA 13.0.
        subprocess.run([draft / "bin" / "python", "-m", "pip", "install", f"torch=={TORCH}", "numpy"], check=True)
        draft.rename(folder)
    return str(folder / "bin" / "python")
