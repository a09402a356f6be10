"""What a build is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.model.ops import OpDecision, OpSpec, OpVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Signature
from orchestrator.model.wheels import BuildKey, Manifest
from orchestrator.ports import PackageIndex, Remote, Reporter


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
    python: str | None
    """The builder's interpreter whose torch is used. None, on the controller only: any Python of the signature's tag,
    with a torch of its own."""
    cores: int
    """How many compilers may run at once."""
    memory_bytes: int
    """How much memory they may take together."""

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
    def has_debug_sections(self) -> bool:
        """Whether it was left unstripped."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """A finished wheel, not yet in the store."""

    path: Path
    manifest: Manifest
    """As inside the wheel, but with the ops' compile times."""
