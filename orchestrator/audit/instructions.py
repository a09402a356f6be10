"""Estimates from machine code which CPU it was compiled for, without disassembling it."""

from __future__ import annotations

import re

from orchestrator.model.signature import CpuLevel

_EVEX_MOVE = re.compile(
    rb"\x62[\x01\x11\x21\x31\x41\x51\x61\x71\x81\x91\xa1\xb1\xc1\xd1\xe1\xf1]"
    rb"[\x7c-\x7f\xfc-\xff][\x08\x28\x48][\x10\x11\x28\x29\x6f\x7f]",
)
"""AVX-512's unmasked moves between registers and memory. No other 64-bit instruction begins with 0x62: Intel's
Software Developer's Manual, volume 2, 2.7 (EVEX) and 2.3 (VEX)."""
_VEX_MOVE = re.compile(rb"\xc5[\x78-\x7f\xf8-\xff][\x10\x11\x28\x29\x6f\x7f\x77]")
"""The same of AVX, and vzeroupper; no other begins with 0xC5."""
_CPUID = re.compile(rb"(?:\x31\xc0|(?:\xb8|\xc7\xc0).\0\0\0).{0,6}\x0f\xa2", re.DOTALL)
"""cpuid, with the leaf put into eax just before."""

_CODE_PER_MOVE = 1 << 16
"""Code that uses an extension moves with it far more often than once in so many bytes, and other code looks so by
chance far less often: counted in libraries of torch 2.13, torchvision 0.26, DeepSpeed 0.19 and Debian 12."""
_LEAST_EVEX, _LEAST_VEX = 2, 4
"""Below, it may be chance in little code too: the shorter pattern is met ten times as often."""


def find_cpu_level(code: bytes) -> CpuLevel:
    """Return the level of x86-64 code, as far as AVX and AVX-512 tell.

    Levels 1 and 2 cannot be told apart. Some few instructions in very much code are missed.
    """
    if _uses(_EVEX_MOVE, code, _LEAST_EVEX):
        return CpuLevel.X86_64_V4
    return CpuLevel.X86_64_V3 if _uses(_VEX_MOVE, code, _LEAST_VEX) else CpuLevel.X86_64_V1


def asks_the_cpu(code: bytes) -> bool:
    """Tell whether code asks the CPU what it can do (cpuid), as that does which chooses its instructions by itself."""
    return _CPUID.search(code) is not None


def _uses(move: re.Pattern[bytes], code: bytes, least: int) -> bool:
    moves = len(move.findall(code))
    return moves >= least and moves * _CODE_PER_MOVE >= len(code)
