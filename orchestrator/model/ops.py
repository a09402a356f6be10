"""What is known of DeepSpeed's ops before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from packaging.specifiers import SpecifierSet

from orchestrator.model.signature import Accelerator


class Need(str, Enum):
    """Something an op needs on the builder beside a C++ compiler and torch."""

    LIBAIO = "libaio"
    ONECCL = "oneccl"
    NVCC = "nvcc"


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
    compile_cpu_s: float = 30.0
    """Typical CPU seconds, to start the longest first."""
    peak_memory_bytes: int = 1_500_000_000

    def exists_in(self, version: str) -> bool:
        """Whether that DeepSpeed (PEP 440) has the op; a pre-release counts as what it leads to."""
        return SpecifierSet(self.deepspeed).contains(version, prereleases=True)


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
