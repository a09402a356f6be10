"""Reads which GPU code an NVIDIA fat binary holds."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

MAGIC = 0xBA55ED50
VERSION = 1
CONTAINER = struct.Struct("<IHHQ")
"""Magic, version, size of this header, size of the entries behind it."""
ENTRY = struct.Struct("<H2xIQ12xI8xQ")
"""Kind, size of this header, size of the padded code behind it, arch as a number (90), flags."""
ENTRY_HEADER_BYTES = 64
"""The least that an entry's header takes; the toolkits put several things behind these."""

ONLY_THIS_ARCH = 1 << 20
THIS_FAMILY = 1 << 21
LETTERS = {0: "", ONLY_THIS_ARCH: "a", THIS_FAMILY: "f"}
"""What the flags say of the virtual arch that the code was compiled from."""
ARCH_NUMBERS = range(10, 1000)
COMPRESSED = 1 << 13 | 1 << 15
"""With LZ4 (CUDA 11 and 12) or zstd (13)."""


class CodeKind(Enum):
    """What an entry holds; the value is the number in its header."""

    PTX = 1
    CUBIN = 2


PREFIXES = {CodeKind.PTX.value: "compute", CodeKind.CUBIN.value: "sm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """One entry: the code of one source file for one arch."""

    kind: CodeKind
    arch: str
    """`sm_90a` for a cubin, `compute_90a` for PTX. The letter tells for which features it was compiled: an `sm_100`
    made from `compute_100f` is `sm_100f` here."""
    is_compressed: bool


def read_fatbin(section: bytes) -> tuple[DeviceCode, ...]:
    """Return all entries of an `.nv_fatbin` section: one container for each source file, one behind the other.

    NVIDIA does not document the format. What is read here was compared with what cuobjdump 13.2 lists, for libraries of
    nvcc 13.0 and of NVIDIA (CUDA 11 to 13). Raises ValueError for anything else than that format.
    """
    return tuple(_read_containers(section))


def _read_containers(section: bytes) -> Iterator[DeviceCode]:
    start = 0
    while start < len(section):
        magic, version, header_bytes, code_bytes = _unpack(CONTAINER, section, start, len(section))
        first = start + header_bytes
        end = first + code_bytes
        if (magic, version) != (MAGIC, VERSION) or header_bytes < CONTAINER.size or end > len(section):
            raise ValueError(f"no fat binary at byte {start} of {len(section)}")
        yield from _read_entries(section, first, end)
        start = end


def _read_entries(section: bytes, start: int, end: int) -> Iterator[DeviceCode]:
    while start < end:
        kind, header_bytes, code_bytes, arch, flags = _unpack(ENTRY, section, start, end)
        following = start + header_bytes + code_bytes
        if header_bytes < ENTRY_HEADER_BYTES or following > end:
            raise ValueError(f"a fat binary is cut off at byte {start}")
        yield _make_code(kind, arch, flags)
        start = following


def _unpack(layout: struct.Struct, section: bytes, start: int, end: int) -> tuple[int, ...]:
    if start + layout.size > end:
        raise ValueError(f"a fat binary is cut off at byte {start}")
    return layout.unpack_from(section, start)


def _make_code(kind_number: int, arch_number: int, flags: int) -> DeviceCode:
    prefix, letter = PREFIXES.get(kind_number), LETTERS.get(flags & (ONLY_THIS_ARCH | THIS_FAMILY))
    if prefix is None or letter is None or arch_number not in ARCH_NUMBERS:
        raise ValueError(f"unknown device code: kind {kind_number}, arch {arch_number}, flags {flags:#x}")
    return DeviceCode(
        kind=CodeKind(kind_number),
        arch=f"{prefix}_{arch_number}{letter}",
        is_compressed=bool(flags & COMPRESSED),
    )
