"""What a wheel really contains, and what of it would not work on a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.model.signature import CpuLevel
from orchestrator.model.wheels import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """One `.so`, and what must be there for it to load and run."""

    machine: str
    """As `uname -m` says: `x86_64`; for others the ELF constant."""
    size_bytes: int
    soname: str | None = None
    glibc: str | None
    """Highest GLIBC version of a symbol that it needs: `2.34`; None when it needs none."""
    glibcxx: str | None
    cxxabi: str | None
    needed: tuple[str, ...]
    """DT_NEEDED libraries, in order."""
    search_path: tuple[str, ...]
    """Folders of DT_RUNPATH, or of the older DT_RPATH."""
    torch_symbols: tuple[str, ...] = ()
    """Sorted: mangled names in torch's namespaces that some library of torch must export for it to load."""
    cxx11_abi: bool | None = None
    """Which std::string those symbols have; None when none of them has any."""
    cpu_level: CpuLevel | None = None
    """Lowest level that has all instructions which were found in it; None where nobody can tell (not x86-64)."""
    asks_the_cpu: bool = False
    """It looks up at run time what the CPU can do, so that some of its instructions may be for some CPUs only."""
    has_debug_sections: bool
    is_stripped: bool = False
    """Without the symbol table that debuggers and profilers read names from."""
    has_device_code: bool
    gpu_archs: tuple[str, ...] = ()
    """Sorted: archs of the cubins in it, like `sm_90`; those of HIP code are not read."""
    ptx_archs: tuple[str, ...] = ()
    """Sorted: virtual archs of the PTX in it, like `compute_90`."""
    unread_gpu_code: str | None = None
    """Why CUDA code in it could not be read: it has a form that this dsdeploy does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelContents:
    """What a wheel says and holds."""

    filename: str
    size_bytes: int = 0
    name: str
    """Normalised: `deepspeed`."""
    version: str
    tags: tuple[str, ...]
    """Sorted: `cp311-cp311-linux_x86_64`; from the file's name."""
    requires: tuple[str, ...] = ()
    """Its Requires-Dist lines."""
    requires_python: str | None = None
    shared_objects: Mapping[str, SharedObject] = field(default_factory=dict)
    """Path inside the wheel → what it needs; libraries that it brings along too."""
    installed_ops: Mapping[str, bool] = field(default_factory=dict)
    """What DeepSpeed itself believes to be built; empty when it does not say."""
    accelerator: str | None = None
    torch: Mapping[str, str] = field(default_factory=dict)
    """DeepSpeed's record of torch: `version`, `cuda_version`, `hip_version` as major.minor; `0.0` is none."""
    manifest: Manifest | None = None
    """None: not built by dsdeploy, or by one whose manifest this one cannot read."""

    @property
    def torch_symbols(self) -> tuple[str, ...]:
        """What all its libraries together need of torch, sorted."""
        return tuple(sorted({name for library in self.shared_objects.values() for name in library.torch_symbols}))

    @property
    def glibc(self) -> str | None:
        """Highest GLIBC version that one of its libraries needs."""
        return _highest(library.glibc for library in self.shared_objects.values())

    @property
    def glibcxx(self) -> str | None:
        """Highest GLIBCXX version that one of its libraries needs."""
        return _highest(library.glibcxx for library in self.shared_objects.values())

    @property
    def cxxabi(self) -> str | None:
        """Highest CXXABI version that one of its libraries needs."""
        return _highest(library.cxxabi for library in self.shared_objects.values())


class Aspect(str, Enum):
    """What of a host a wheel depends on."""

    PYTHON = "python"
    MACHINE = "machine"
    PLATFORM = "platform"
    CPU = "cpu"
    GLIBC = "glibc"
    GLIBCXX = "glibcxx"
    LIBRARY = "library"
    TORCH = "torch"
    SYMBOL = "symbol"
    ACCELERATOR = "accelerator"
    GPU_ARCH = "gpu-arch"
    DRIVER = "driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """One reason why a wheel would not work on a host, or not as well as it could."""

    aspect: Aspect
    evidence: str
    """What the wheel needs and what the host has: `cpu_adam needs GLIBC_2.38, the host has 2.36`."""
    is_warning: bool = False
    """It works all the same, with something to know, or nobody can tell before it is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitVerdict:
    """What one wheel is to one host."""

    misfits: tuple[Misfit, ...] = ()
    """Any of them keeps the wheel, or a part of it, from working."""
    warnings: tuple[Misfit, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the wheel may be sent there."""
        return not self.misfits

    @classmethod
    def of(cls, found: Iterable[Misfit]) -> FitVerdict:
        """Return the verdict that these come to."""
        each = tuple(found)
        return cls(
            misfits=tuple(misfit for misfit in each if not misfit.is_warning),
            warnings=tuple(misfit for misfit in each if misfit.is_warning),
        )

    def with_more(self, found: Iterable[Misfit]) -> FitVerdict:
        """Return the verdict with what was found out later."""
        return FitVerdict.of((*self.misfits, *self.warnings, *found))


def _highest(versions: Iterable[str | None]) -> str | None:
    """Return the highest dotted version: `2.34` of it and `2.9`."""
    return max(filter(None, versions), key=lambda text: [int(word) for word in text.split(".")], default=None)
