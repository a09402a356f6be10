"""What two hosts must share to share a wheel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Accelerator(str, Enum):
    """What DeepSpeed runs on; the value is DeepSpeed's own `DS_ACCELERATOR` word (ROCm is `cuda` there)."""

    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"

    @property
    def deepspeed_name(self) -> str:
        """The word for `DS_ACCELERATOR` (accelerator/real_accelerator.py, DeepSpeed 0.19)."""
        return "cpu" if self is Accelerator.CPU else "cuda"


class CpuLevel(str, Enum):
    """Instruction levels of the x86-64 psABI and of aarch64, lowest first within a machine."""

    X86_64_V1 = "x86-64"
    X86_64_V2 = "x86-64-v2"
    X86_64_V3 = "x86-64-v3"
    X86_64_V4 = "x86-64-v4"
    ARMV8 = "armv8-a"
    ARMV8_SVE = "armv8-a+sve"
    OTHER = "other"

    @property
    def machine(self) -> str:
        """The `uname -m` word that this level belongs to; empty for OTHER."""
        if self is CpuLevel.OTHER:
            return ""
        return "x86_64" if self.value.startswith("x86") else "aarch64"

    @property
    def rank(self) -> int:
        """Position within its machine: a host of rank n runs code of every rank ≤ n."""
        return list(CpuLevel).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The key of a group: every field must fit for a wheel to work on a host.

    The last three are floors: a host with more also runs the wheel. A group's floor is the lowest of its hosts.
    """

    accelerator: Accelerator
    gpu_archs: tuple[str, ...] = ()
    """Sorted: `sm_90`, `gfx942`; empty on CPU."""
    torch_version: str
    """Full version with its local part: `2.13.0+cpu`."""
    torch_cuda: str | None = None
    torch_hip: str | None = None
    cxx11_abi: bool = True
    python_tag: str
    """ABI tag of the interpreter: `cp311`."""
    machine: str
    cpu_level: CpuLevel
    glibc: str
    glibcxx: str

    @property
    def label(self) -> str:
        """A short name for people: `torch2.13.0+cpu cp311 x86-64-v3`."""
        archs = " ".join(self.gpu_archs)
        words = [f"torch{self.torch_version}", archs, self.python_tag, self.cpu_level.value]
        return " ".join(word for word in words if word)
