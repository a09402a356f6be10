"""What a build is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.model.ops import OpDecision, OpSpec, OpVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Signature
from orchestrator.model.timings import BuildTimings
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.model.wheels import BuildKey, Manifest
from orchestrator.ports import CompileHistory, OpCache, PackageIndex, Remote, Reporter, ToolchainProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """One wheel to build."""

    signature: Signature
    recipe: Recipe
    build_key: BuildKey
    decisions: tuple[OpDecision, ...]
    """All ops of that DeepSpeed: those to build, and those left out with the reason."""
    specs: tuple[OpSpec, ...]
    """What is known of that DeepSpeed's ops."""
    toolchain: Toolchain
    """What it is compiled with."""
    python: str | None
    """The builder's interpreter whose torch is used. None, on the controller only: any Python of the signature's tag,
    with a torch of its own."""
    cores: int
    """How many compilers may run at once."""
    memory_bytes: int
    """How much memory they may take together."""
    ccache: str | None = None
    """Path of the builder's ccache; None: it has none."""

    @property
    def built(self) -> tuple[OpDecision, ...]:
        """The decisions to build."""
        return tuple(decision for decision in self.decisions if decision.verdict is OpVerdict.BUILD)

    @property
    def built_specs(self) -> tuple[OpSpec, ...]:
        """What is known of the ops to build."""
        built = {decision.op for decision in self.built}
        return tuple(spec for spec in self.specs if spec.name in built)


class SharedObject(Protocol):
    """What was read from a compiled library; `audit` has the real one."""

    @property
    def glibc(self) -> str | None:
        """Highest GLIBC symbol version that it needs."""
        ...

    @property
    def glibcxx(self) -> str | None:
        """Highest GLIBCXX symbol version that it needs."""
        ...

    @property
    def needed(self) -> tuple[str, ...]:
        """Its DT_NEEDED libraries."""
        ...

    @property
    def search_path(self) -> tuple[str, ...]:
        """Folders of its DT_RUNPATH."""
        ...

    @property
    def has_debug_sections(self) -> bool:
        """Whether it was left unstripped."""
        ...

    @property
    def has_device_code(self) -> bool:
        """Whether it holds code for GPUs."""
        ...

    @property
    def gpu_archs(self) -> tuple[str, ...]:
        """Archs of its cubins: `sm_90`."""
        ...

    @property
    def ptx_archs(self) -> tuple[str, ...]:
        """Virtual archs of its PTX: `compute_90`."""
        ...


class WheelContents(Protocol):
    """What was read from a wheel; `audit` has the real one."""

    @property
    def shared_objects(self) -> Mapping[str, SharedObject]:
        """Path inside the wheel → what was read from it."""
        ...

    @property
    def installed_ops(self) -> Mapping[str, bool]:
        """Which ops DeepSpeed itself believes to be built."""
        ...

    @property
    def accelerator(self) -> str | None:
        """For which accelerator DeepSpeed believes it was built; None when it does not say."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTools:
    """What a build acts through."""

    remote: Remote
    """The builder: a host, or the controller's own session."""
    index: PackageIndex
    reporter: Reporter
    read_wheel: Callable[[Path], WheelContents]
    folder: Path
    """On the controller: takes the finished wheel."""
    logs: Path
    """On the controller: takes one log per step and op."""
    cache: Path
    """On the controller: keeps the torch of controller builds for the next one."""
    toolchains: Mapping[ToolchainKind, ToolchainProvider]
    op_cache: OpCache
    history: CompileHistory
    clock: Callable[[], float]
    """Seconds that only grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """A finished wheel, not yet in the store."""

    path: Path
    manifest: Manifest
    """As inside the wheel, but with the ops' compile times."""
    timings: BuildTimings
