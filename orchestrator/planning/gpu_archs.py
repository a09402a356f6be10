"""NVIDIA's GPU archs since Maxwell: which CUDA toolkits make code for each, and which belong together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuArch:
    """One compute capability."""

    name: str
    """`sm_90`."""
    first: str
    """First CUDA toolkit (major.minor) whose nvcc makes code for it."""
    last: str | None = None
    """Last one; None: the newest still does."""
    letters: str = ""
    """Which targets it has beside the plain one: `a` (its own features), `f` (those of its family)."""
    family: str | None = None
    """Whose family-specific code it can run if that is no newer than itself; None: there is none."""
    is_integrated: bool = False
    """A Tegra (Jetson, Drive): binaries are not compatible between Tegra and other GPUs."""
    renamed: str | None = None
    """What the same GPU is called since the toolkit after `last`."""


GPU_ARCHS = {
    arch.name: arch
    for arch in (
        GpuArch(name="sm_50", first="7.0", last="12.9"),
        GpuArch(name="sm_52", first="7.0", last="12.9"),
        GpuArch(name="sm_53", first="7.0", last="12.9", is_integrated=True),
        GpuArch(name="sm_60", first="8.0", last="12.9"),
        GpuArch(name="sm_61", first="8.0", last="12.9"),
        GpuArch(name="sm_62", first="8.0", last="12.9", is_integrated=True),
        GpuArch(name="sm_70", first="9.0", last="12.9"),
        GpuArch(name="sm_72", first="9.1", last="12.9", is_integrated=True),
        GpuArch(name="sm_75", first="10.0"),
        GpuArch(name="sm_80", first="11.0"),
        GpuArch(name="sm_86", first="11.1"),
        GpuArch(name="sm_87", first="11.4", is_integrated=True),
        GpuArch(name="sm_88", first="13.0"),
        GpuArch(name="sm_89", first="11.8"),
        GpuArch(name="sm_90", first="11.8", letters="a"),
        GpuArch(name="sm_100", first="12.8", letters="af", family="sm_100"),
        GpuArch(
            name="sm_101",
            first="12.8",
            last="12.9",
            letters="af",
            family="sm_110",
            is_integrated=True,
            renamed="sm_110",
        ),
        GpuArch(name="sm_103", first="12.9", letters="af", family="sm_100"),
        GpuArch(name="sm_107", first="13.4", letters="af", family="sm_100"),
        GpuArch(name="sm_110", first="13.0", letters="af", family="sm_110", is_integrated=True),
        GpuArch(name="sm_120", first="12.8", letters="af", family="sm_120"),
        GpuArch(name="sm_121", first="12.9", letters="af", family="sm_120"),
    )
}
"""By name. First and last toolkits: what `ptxas --help` of 11.8, 12.0, 12.8, 12.9, 13.2 and 13.5 and `nvcc
--list-gpu-code` of 13.0, 13.2 and 13.5 list; between those, and before 11.8, clang's table (clang/lib/Basic/Cuda.cpp,
which knows no toolkit before 7.0) and for sm_107 GCC's (nvptx.opt). Families: which `.target sm_100f` ptxas 12.9 and
13.5 assemble for which GPU. sm_101 is sm_110 since CUDA 13.0 (its release notes). Tegra: torch/cuda/__init__.py 2.13,
DEVICE_REQUIREMENT."""

LETTER_SINCE = {"": "0", "a": "12.0", "f": "12.9"}
"""The first toolkit that knows a target's letter (`ptxas --help` of 12.0, 12.8 and 12.9)."""
