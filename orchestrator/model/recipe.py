"""What to build: which DeepSpeed, which ops, how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.model.codec import digest_of
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.toolchain import ToolchainPolicy


class SourceKind(str, Enum):
    """Where DeepSpeed's source comes from."""

    VERSION = "version"
    GIT = "git"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One DeepSpeed source tree."""

    kind: SourceKind
    value: str
    """A version (`0.19.8`), a git URL, or an absolute folder."""
    revision: str | None = None
    """git: the full commit; folder: the digest of its tree; a branch or tag is resolved before it gets here."""


class CpuPolicy(str, Enum):
    """How a group's CPU level is chosen."""

    LOWEST = "lowest"
    """One wheel for all hosts that differ in CPU level only, at the lowest level."""
    PER_LEVEL = "per-level"
    """One wheel per CPU level."""


class ArchPolicy(str, Enum):
    """How GPU archs are grouped."""

    PER_SIGNATURE = "per-signature"
    UNION = "union"


class PtxPolicy(str, Enum):
    """Whether PTX goes into a wheel beside SASS."""

    NEVER = "never"
    NEWEST = "newest"


class BuildStrategy(str, Enum):
    """How the ops are compiled."""

    PER_OP = "per-op"
    """One process per compiler run and one folder of objects per op, then one bdist_wheel."""
    UPSTREAM = "upstream"
    """The literal `DS_BUILD_OPS=1 python setup.py build_ext -jN bdist_wheel`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A build's wishes; everything that changes the bytes of the wheel is in `digest`."""

    name: str
    source: Source
    accelerator: Accelerator | None = None
    """None: what each host has."""
    wanted: tuple[str, ...] = ()
    """Ops to build where they can be built; empty: every op of that DeepSpeed."""
    required: tuple[str, ...] = ()
    """Ops without which a wheel is refused."""
    off: tuple[str, ...] = ()
    python: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Build environment variables; a recipe file's `DS_BUILD_*` switches are in the lists of ops instead."""
    cpu_policy: CpuPolicy = CpuPolicy.LOWEST
    cpu_level: CpuLevel | None = None
    """An explicit level beats the policy."""
    arch_policy: ArchPolicy = ArchPolicy.PER_SIGNATURE
    archs: tuple[str, ...] = ()
    """An explicit list beats the policy."""
    ptx: PtxPolicy = PtxPolicy.NEVER
    strip: bool = True
    skip_cuda_check: bool = False
    strategy: BuildStrategy = BuildStrategy.PER_OP
    toolchain: ToolchainPolicy = ToolchainPolicy.AUTO
    """Not in the digest: the same toolkit gives the same wheel wherever it comes from."""

    def digest(self) -> str:
        """Return the digest of what shapes the wheel: not the name, nor the interpreter's path."""
        return digest_of(
            [self.source, self.accelerator, sorted(self.wanted), sorted(self.required), sorted(self.off)],
            self.environment,
            [sorted(self.archs), self.ptx, self.strip, self.skip_cuda_check, self.strategy],
        )
