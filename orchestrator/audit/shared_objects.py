"""Reads what a compiled op needs from a host, out of its ELF file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from orchestrator.audit.fatbin import CodeKind, DeviceCode, read_fatbin

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_PPC64": "ppc64le", "EM_386": "i686"}
CUDA_CODE_SECTION = ".nv_fatbin"
DEVICE_CODE_SECTIONS = frozenset({CUDA_CODE_SECTION, ".hip_fatbin"})
"""Where nvcc and hipcc put the fat binary in the host object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """One `.so`, and what must be there for it to load."""

    machine: str
    """As `uname -m` says: `x86_64`; for others the ELF constant."""
    size_bytes: int
    glibc: str | None
    """Highest GLIBC version of a symbol that it needs: `2.34`; None when it needs none."""
    glibcxx: str | None
    cxxabi: str | None
    needed: tuple[str, ...]
    """DT_NEEDED libraries, in order."""
    search_path: tuple[str, ...]
    """Folders of DT_RUNPATH, or of the older DT_RPATH."""
    has_debug_sections: bool
    has_device_code: bool
    gpu_archs: tuple[str, ...] = ()
    """Sorted: archs of the cubins in it, like `sm_90`; those of HIP code are not read."""
    ptx_archs: tuple[str, ...] = ()
    """Sorted: virtual archs of the PTX in it, like `compute_90`."""


def read_shared_object(content: bytes | Path) -> SharedObject:
    """Read one shared object, from its bytes or its file.

    Raises ValueError when it is no ELF file, or has GPU code of an unknown form.
    """
    file_bytes = content if isinstance(content, bytes) else content.read_bytes()
    try:
        return _read(ELFFile(BytesIO(file_bytes)), len(file_bytes))
    except ELFError as error:
        raise ValueError(f"no readable ELF file: {error}") from error


def highest_version(prefix: str, names: Iterable[str]) -> str | None:
    """Return the highest version among names like `GLIBC_2.34`; None when there is none.

    Names without a number, like `GLIBC_PRIVATE`, do not count.
    """
    pattern = re.compile(rf"{prefix}_(\d+(?:\.\d+)*)")
    versions = [match[1] for name in names if (match := pattern.fullmatch(name))]
    return max(versions, key=version_order, default=None)


def version_order(version: str) -> tuple[int, ...]:
    """Return what orders dotted versions: `2.9` before `2.34`."""
    return tuple(int(word) for word in version.split("."))


def _read(elf: ELFFile, size_bytes: int) -> SharedObject:
    sections = {section.name for section in elf.iter_sections()}
    versions = tuple(_needed_versions(elf))
    tags = list(_dynamic_tags(elf))
    cuda_code = elf.get_section_by_name(CUDA_CODE_SECTION)
    codes = read_fatbin(cuda_code.data()) if cuda_code else ()
    return SharedObject(
        machine=MACHINES.get(elf["e_machine"], str(elf["e_machine"])),
        size_bytes=size_bytes,
        glibc=highest_version("GLIBC", versions),
        glibcxx=highest_version("GLIBCXX", versions),
        cxxabi=highest_version("CXXABI", versions),
        needed=tuple(text for name, text in tags if name == "DT_NEEDED"),
        search_path=tuple(
            folder for name, text in tags if name in ("DT_RUNPATH", "DT_RPATH") for folder in text.split(":")
        ),
        has_debug_sections=any(name.startswith((".debug_", ".zdebug_")) for name in sections),
        has_device_code=not DEVICE_CODE_SECTIONS.isdisjoint(sections),
        gpu_archs=_archs_of(codes, CodeKind.CUBIN),
        ptx_archs=_archs_of(codes, CodeKind.PTX),
    )


def _archs_of(codes: Iterable[DeviceCode], kind: CodeKind) -> tuple[str, ...]:
    return tuple(sorted({code.arch for code in codes if code.kind is kind}))


def _needed_versions(elf: ELFFile) -> Iterator[str]:
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _library, versions in section.iter_versions():
                yield from (version.name for version in versions)


def _dynamic_tags(elf: ELFFile) -> Iterator[tuple[str, str]]:
    """Yield the dynamic entries that name something, like (`DT_NEEDED`, `libc.so.6`)."""
    attributes = {"DT_NEEDED": "needed", "DT_RUNPATH": "runpath", "DT_RPATH": "rpath"}
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                if tag.entry.d_tag in attributes:
                    yield tag.entry.d_tag, getattr(tag, attributes[tag.entry.d_tag])
