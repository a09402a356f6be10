"""What is known of DeepSpeed's ops before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from orchestrator.model.signature import Accelerator


class Need(str, Enum):
    """Something an op needs on the builder beside a C++ compiler and torch."""

    LIBAIO = "libaio"
    ONECCL = "oneccl"
    NVCC = "nvcc"
    CUFILE = "cufile"
    """libcufile's header and dev link (GPUDirect Storage)."""
    NCCL = "nccl"
    """nccl.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpSpec:
    """One op of a range of DeepSpeed versions on one accelerator."""

    name: str
    build_variable: str
    """DeepSpeed's own switch: `DS_BUILD_CPU_ADAM`."""
    accelerator: Accelerator
    deepspeed: str = ""
    """Version specifier (PEP 440) of the DeepSpeed versions that have it; empty: all."""
    needs: tuple[Need, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Ops that must be in the wheel with it."""
    is_empty: bool = False
    """A placeholder with no sources: it is built as upstream does, never loaded."""
    never: str | None = None
    """Why this op cannot be built at all; None when it can."""
    min_arch: str | None = None
    """Lowest GPU arch that its sources compile for: `sm_80`; None: any that nvcc knows."""
    only_archs: tuple[str, ...] = ()
    """The GPU archs that it exists for at all; empty: no such limit."""
    only_machines: tuple[str, ...] = ()
    """The machines (`uname -m`) that it exists for at all; empty: no such limit."""
    nvcc: str = ""
    """Version specifier (PEP 440) of the CUDA toolkits that compile it; empty: all."""
    torch: str = ""
    """Version specifier (PEP 440) of the torch versions that it compiles against; empty: all."""
    build_packages: tuple[str, ...] = ()
    """Requirements (PEP 508) that must be in the build environment with it."""
    host_packages: tuple[str, ...] = ()
    """Requirements (PEP 508) that hosts need to load it. Such an op is built only when the recipe names it."""
    compile_cpu_s: float = 30.0
    """Typical CPU seconds, to start the longest first."""
    peak_memory_bytes: int = 1_800_000_000

    def exists_in(self, version: str) -> bool:
        """Whether that DeepSpeed has the op; a pre-release counts as what it leads to, no version (PEP 440) has any."""
        try:
            release = Version(version).base_version
        except InvalidVersion:
            return False
        return SpecifierSet(self.deepspeed).contains(release)


class OpVerdict(str, Enum):
    """What happens to one op in one wheel."""

    BUILD = "build"
    REUSE = "reuse"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpDecision:
    """One line of the plan about one op; `reason` is never empty for SKIP and REFUSE."""

    op: str
    build_variable: str
    verdict: OpVerdict
    reason: str = ""
