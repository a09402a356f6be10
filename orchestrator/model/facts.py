"""What a probe found on one host; a missing tool is a fact (None), not an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.codec import digest_of
from orchestrator.model.deployment import Kept, Pending, Stamp
from orchestrator.model.signature import Accelerator, CpuLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as its vendor's tool reports it."""

    index: int
    name: str
    compute_capability: str | None = None
    """NVIDIA: `9.0`; AMD: None (see `gfx`)."""
    gfx: str | None = None
    """AMD: `gfx942`; NVIDIA: None."""
    memory_bytes: int | None = None
    driver: str | None = None
    uuid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program that was really run to learn its version."""

    path: str
    version: str | None = None
    """Dotted version; None when running it failed, then `error` says how."""
    error: str | None = None

    @property
    def is_working(self) -> bool:
        """Whether it ran and said its version."""
        return self.version is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Free space at one place that an installation writes to."""

    role: str
    """`cache` (where wheels wait), `site-packages` (where they go), or `tmp`."""
    path: str
    free_bytes: int
    filesystem_id: str | None = None
    """Equal on two hosts exactly when they share this place (`cache`, and `site-packages` where that can be told)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The operating system and the machine under it."""

    hostname: str
    os: str
    machine: str
    """As `uname -m` says: `x86_64`, `aarch64`."""
    kernel: str
    glibc: str | None
    """`2.36`; None on a system without glibc."""
    glibcxx: str | None
    """Highest GLIBCXX version that the system's libstdc++ offers: `3.4.30`."""
    cpu_model: str
    cpu_level: CpuLevel
    cpu_cores: int
    memory_bytes: int
    memory_available_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """The torch of the target interpreter, read from its files, never imported."""

    version: str
    """Full version with its local part: `2.13.0+cpu`."""
    git: str | None = None
    cuda: str | None = None
    """major.minor that torch was compiled for: `13.0`."""
    hip: str | None = None
    cxx11_abi: bool = True
    file: str | None = None
    """The file that says its version: `…/torch/version.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledDeepSpeed:
    """The DeepSpeed distribution found in the target interpreter."""

    version: str
    location: str
    """The folder that holds its dist-info."""
    installed_ops: Mapping[str, bool] = field(default_factory=dict)
    accelerator: str | None = None
    record_sha256: str | None = None
    """Digest of its RECORD file; None when it has none (editable, legacy egg)."""
    is_editable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The target interpreter and what is installed in it."""

    requested: str
    executable: str
    prefix: str
    version: str
    """Full Python version: `3.11.7`."""
    abi_tag: str
    """`cp311`, `cp313t`."""
    platlib: str
    is_writable: bool
    """Whether this user may write into `platlib`."""
    has_headers: bool
    """Whether Python.h is there: needed to build, not to install."""
    pip: str | None = None
    uv: str | None = None
    is_externally_managed: bool = False
    """The PEP 668 marker is there and this is no virtual environment."""
    torch: Torch | None = None
    triton: str | None = None
    deepspeed: InstalledDeepSpeed | None = None
    distributions: Mapping[str, str] = field(default_factory=dict)
    """Every installed distribution: normalised name → version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that one round trip learned about one host."""

    system: System
    accelerator: Accelerator
    gpus: tuple[Gpu, ...] = ()
    nvcc: Tool | None = None
    nvcc_archs: tuple[str, ...] = ()
    """GPU archs that this nvcc makes code for, as it lists them itself: `sm_75`; empty when it was not asked."""
    cuda_home: str | None = None
    compilers: tuple[Tool, ...] = ()
    """C++ compilers in the order of preference."""
    ninja: Tool | None = None
    has_libaio: bool = False
    """libaio's header and dev link are both there: async_io can be built."""
    has_libaio_runtime: bool = False
    """libaio.so.1 is there: a built async_io can be loaded."""
    has_cufile: bool = False
    """libcufile's header and dev link are both there, in CUDA_HOME or the system: gds can be built."""
    has_nccl: bool = False
    """nccl.h is there, in CUDA_HOME, in the system, or among the interpreter's nvidia packages."""
    ccache: Tool | None = None
    disks: tuple[Disk, ...] = ()
    interpreter: Interpreter | None = None
    interpreter_error: str | None = None
    """Why `interpreter` is None."""
    stamp: Stamp | None = None
    """The last committed deployment into this interpreter."""
    pending: Pending | None = None
    """A deployment into this interpreter that did not end."""
    kept: tuple[Kept, ...] = ()
    """What earlier deployments into this interpreter replaced, newest first."""
    committed: str | None = None
    """The deployment into this interpreter that was committed last, with a stamp or without."""
    edited_files: tuple[str, ...] = ()
    """Files of the stamped DeepSpeed that are not what its RECORD says, relative to site-packages; at most 20."""
    cached_wheels: tuple[str, ...] = ()
    """sha256 of the wheels that wait in the host's cache."""
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return what a saved plan holds on to: all that a decision can depend on, nothing that drifts by itself."""
        interpreter = self.interpreter
        system = self.system
        return digest_of(
            [system.machine, system.glibc, system.glibcxx, system.cpu_level],
            self.accelerator,
            [[gpu.name, gpu.compute_capability, gpu.gfx, gpu.driver] for gpu in self.gpus],
            [self.nvcc, self.nvcc_archs, self.cuda_home, self.compilers],
            [self.has_libaio, self.has_libaio_runtime, self.has_cufile, self.has_nccl],
            interpreter,
            [self.stamp, self.pending, self.kept, self.committed, self.edited_files],
        )
