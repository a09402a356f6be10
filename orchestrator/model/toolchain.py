"""With what a wheel is compiled: the host compiler, and for GPUs a CUDA toolkit of the right version."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ToolchainPolicy(str, Enum):
    """Where a recipe lets the CUDA toolkit come from."""

    AUTO = "auto"
    """A complete toolkit of the builder, else one put together from NVIDIA's wheels."""
    SYSTEM = "system"
    WHEELS = "wheels"
    HOST = "host"


class ToolchainKind(str, Enum):
    """Where a wheel's CUDA toolkit comes from; on the CPU, whose compiler it is."""

    SYSTEM = "system"
    """The controller's own."""
    WHEELS = "wheels"
    """A CUDA_HOME put together on the builder from NVIDIA's wheels on the package index."""
    HOST = "host"
    """The builder host's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What one wheel is compiled with; chosen by the plan, told in it."""

    kind: ToolchainKind
    reason: str
    """Why this toolkit, for people: `it has no working nvcc`; empty on the CPU."""
    cxx: str
    """Path of the C++ compiler on the builder; nvcc's host compiler too."""
    cxx_version: str
    """`12.2.0`."""
    cuda: str | None = None
    """major.minor of the toolkit: `13.0`; None on the CPU."""
    nvcc_version: str | None = None
    """Full version where nvcc was run to learn it: `13.0.88`; None for WHEELS and on the CPU."""
    cuda_home: str | None = None
    """Folder on the builder; None for WHEELS and on the CPU."""
    requirements: tuple[str, ...] = ()
    """WHEELS: what is fetched from the package index."""
