"""What one build did when: every compiler run, with its share of the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """One step inside a compiler run, as nvcc names it: `cudafe++`, `cicc`, `ptxas`, `gcc (compiling)`."""

    name: str
    gpu_arch: str = ""
    """`sm_90` or `compute_90` for the steps of one arch."""
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One compiler or linker run."""

    op: str
    """The op that it was for; the first of them when several share the object."""
    source: str
    """Path in the tree: `csrc/adam/cpu_adam.cpp`; the library's name for a link."""
    start_s: float
    """Since the build began."""
    elapsed_s: float
    cpu_s: float
    """User and system time of the compiler and all its children."""
    peak_memory_bytes: int | None = None
    """Of its largest process."""
    stages: tuple[StageTime, ...] = ()
    is_link: bool = False
    shared_with: tuple[str, ...] = ()
    """Other ops of this build that use the same object."""
    is_retry: bool = False
    """It was killed before for want of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTimings:
    """One wheel's build."""

    wheel: str
    """The signature's label."""
    cores: int
    memory_bytes: int
    """What all compilers together could take."""
    elapsed_s: float
    """From the order to the finished wheel."""
    steps: tuple[StageTime, ...] = ()
    """What was done beside compiling, in order: `environment`, `toolchain`, `source`, `wheel`, `loading`."""
    spans: tuple[Span, ...] = ()
    """In the order in which they began."""
    reused: tuple[str, ...] = ()
    """Ops that were not compiled: an earlier build had left their library."""
