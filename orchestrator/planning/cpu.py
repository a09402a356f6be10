"""Decides for which CPU level a wheel is compiled, and with which flags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.model.signature import CpuLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuFlags:
    """The two compiler flags that must follow the CPU level together."""

    march: str | None
    """None: the compiler's own baseline."""
    simd: str


# What DeepSpeed takes from the build host's CPU instead: op_builder/builder.py, `cpu_arch()` and `simd_width()`;
# csrc/includes/simd.h and sve.h say what each macro compiles (0.19.8). sve.h needs __ARM_FEATURE_SVE, so +sve.
_FLAGS = {
    CpuLevel.X86_64_V1: CpuFlags(march="-march=x86-64", simd="-D__SCALAR__"),
    CpuLevel.X86_64_V2: CpuFlags(march="-march=x86-64-v2", simd="-D__SCALAR__"),
    CpuLevel.X86_64_V3: CpuFlags(march="-march=x86-64-v3", simd="-D__AVX256__"),
    CpuLevel.X86_64_V4: CpuFlags(march="-march=x86-64-v4", simd="-D__AVX512__"),
    CpuLevel.ARMV8: CpuFlags(march="-march=armv8-a", simd="-D__NEON__"),
    CpuLevel.ARMV8_SVE: CpuFlags(march="-march=armv8.2-a+sve", simd="-D__SVE__"),
    CpuLevel.OTHER: CpuFlags(march=None, simd="-D__SCALAR__"),
}


def compile_flags(level: CpuLevel) -> CpuFlags:
    """Return the flags with which DeepSpeed's CPU ops run on every host of `level` and above."""
    return _FLAGS[level]


def lowest_level(levels: Iterable[CpuLevel]) -> CpuLevel:
    """Return the lowest of the levels, which must belong to one machine; raises ValueError when there are none."""
    return min(levels, key=lambda level: level.rank)


def runs_code_of(host: CpuLevel, code: CpuLevel) -> bool:
    """Tell whether a host of one level runs code compiled for another; OTHER is compiled for any host."""
    if code is CpuLevel.OTHER:
        return True
    return host.machine == code.machine and host.rank >= code.rank
