"""Reads what a compiled op needs from a host, out of its ELF file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from orchestrator.audit.fatbin import CodeKind, DeviceCode, read_fatbin
from orchestrator.audit.instructions import asks_the_cpu, find_cpu_level
from orchestrator.audit.torch_symbols import find_cxx11_abi, is_of_torch
from orchestrator.model.audit import SharedObject

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_PPC64": "ppc64le", "EM_386": "i686"}
CUDA_CODE_SECTIONS = (".nv_fatbin", "__nv_relfatbin")
"""Where nvcc puts fat binaries in the host object; the second holds what `-rdc=true` left to be linked."""
DEVICE_CODE_SECTIONS = frozenset({*CUDA_CODE_SECTIONS, ".hip_fatbin"})
SHF_EXECINSTR = 4


def read_shared_object(content: bytes | Path) -> SharedObject:
    """Read one shared object, from its bytes or its file. Raises ValueError when it is no ELF file."""
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
    codes, unread = _device_codes(elf)
    symbols = tuple(sorted(set(_torch_symbols(elf))))
    code = _machine_code(elf) if elf["e_machine"] == "EM_X86_64" else None
    return SharedObject(
        machine=MACHINES.get(elf["e_machine"], str(elf["e_machine"])),
        size_bytes=size_bytes,
        soname=next((text for name, text in tags if name == "DT_SONAME"), None),
        glibc=highest_version("GLIBC", versions),
        glibcxx=highest_version("GLIBCXX", versions),
        cxxabi=highest_version("CXXABI", versions),
        needed=tuple(text for name, text in tags if name == "DT_NEEDED"),
        search_path=tuple(
            folder for name, text in tags if name in ("DT_RUNPATH", "DT_RPATH") for folder in text.split(":")
        ),
        torch_symbols=symbols,
        cxx11_abi=find_cxx11_abi(symbols),
        cpu_level=find_cpu_level(code) if code is not None else None,
        asks_the_cpu=code is not None and asks_the_cpu(code),
        has_debug_sections=any(name.startswith((".debug_", ".zdebug_")) for name in sections),
        is_stripped=".symtab" not in sections,
        has_device_code=not DEVICE_CODE_SECTIONS.isdisjoint(sections),
        gpu_archs=_archs_of(codes, CodeKind.CUBIN),
        ptx_archs=_archs_of(codes, CodeKind.PTX),
        unread_gpu_code=unread,
    )


def _device_codes(elf: ELFFile) -> tuple[tuple[DeviceCode, ...], str | None]:
    """Return all CUDA code, or none of it and why."""
    sections = [section.data() for section in elf.iter_sections() if section.name in CUDA_CODE_SECTIONS]
    try:
        return tuple(code for section in sections for code in read_fatbin(section)), None
    except ValueError as error:
        return (), str(error)


def _machine_code(elf: ELFFile) -> bytes:
    return b"".join(
        section.data()
        for section in elf.iter_sections()
        if section["sh_type"] == "SHT_PROGBITS" and section["sh_flags"] & SHF_EXECINSTR
    )


def _torch_symbols(elf: ELFFile) -> Iterator[str]:
    """Yield the undefined symbols that are torch's; a weak one may stay undefined."""
    table = elf.get_section_by_name(".dynsym")
    if isinstance(table, SymbolTableSection):
        for symbol in table.iter_symbols():
            is_undefined = symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL"
            if is_undefined and is_of_torch(symbol.name):
                yield symbol.name


def _archs_of(codes: Iterable[DeviceCode], kind: CodeKind) -> tuple[str, ...]:
    return tuple(sorted({code.arch for code in codes if code.kind is kind}))


def _needed_versions(elf: ELFFile) -> Iterator[str]:
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _library, versions in section.iter_versions():
                yield from (version.name for version in versions)


def _dynamic_tags(elf: ELFFile) -> Iterator[tuple[str, str]]:
    """Yield the dynamic entries that name something, like (`DT_NEEDED`, `libc.so.6`)."""
    attributes = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RUNPATH": "runpath", "DT_RPATH": "rpath"}
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                if tag.entry.d_tag in attributes:
                    yield tag.entry.d_tag, getattr(tag, attributes[tag.entry.d_tag])
