"""Says which symbols the libraries of the target interpreter's torch do not export, reading only their hash tables."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import struct

from .errors import AgentError
from .interpreter import describe_interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from .request import Request

    Content = mmap.mmap | bytes

_LIBRARY = re.compile(r"lib(?:torch|c10|shm)\w*\.so")
_FIRST = "libc10.so"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 4, 5, 6, 0x6FFFFEF5
_SYMBOL_BYTES = 24
_EXPORTING_BINDINGS = (1, 2, 10)
"""Global, weak, and GNU's unique."""
_VISIBLE = (0, 3)
"""Default and protected."""


def symbols(request: Request) -> dict[str, Any]:
    """Return as `missing` those names of `symbols` (library → mangled names) that no library of torch exports.

    A name may be anywhere: the library is where it is looked for first. `python` is the target interpreter. Where its
    torch has its libraries elsewhere than torch or conda put them, `unread` says so, and nothing is missing. Raises
    AgentError (host) when there is no torch, or when a library of it is damaged.
    """
    python, wanted = request.value("python", str), request.value("symbols", dict)
    interpreter = describe_interpreter(python, request.children)
    torch = interpreter["torch"]
    if torch is None or not torch["file"]:
        raise AgentError("host", f"{python} has no torch whose libraries could be read")
    folders = [os.path.join(os.path.dirname(torch["file"]), "lib"), os.path.join(interpreter["prefix"], "lib")]
    with contextlib.ExitStack() as stack:
        libraries = _Libraries(folders, stack)
        if not libraries.are_there:
            return {"missing": {}, "unread": f"there is no {_FIRST} in {' or '.join(folders)}"}
        missing = {
            first: [name for name in names if not libraries.export(name, first)] for first, names in wanted.items()
        }
    return {"missing": {library: names for library, names in missing.items() if names}, "unread": None}


class _Libraries:
    """All libraries of a torch, each opened when it is first needed."""

    def __init__(self, folders: list[str], stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._opened: dict[str, Exports] = {}
        self._paths: dict[str, str] = {}
        for folder in folders:
            with contextlib.suppress(OSError):
                for name in filter(_LIBRARY.fullmatch, sorted(os.listdir(folder))):
                    self._paths.setdefault(name, os.path.join(folder, name))

    @property
    def are_there(self) -> bool:
        """Whether the library that all others of torch need was found."""
        return _FIRST in self._paths

    def export(self, symbol: str, first: str) -> bool:
        """Return whether one of them exports a symbol. Raises AgentError (host) when one cannot be read."""
        name = symbol.encode()
        for library in sorted(self._paths, key=lambda each: each != first):
            try:
                if self._open(library).has(name):
                    return True
            except (OSError, ValueError, ArithmeticError, struct.error) as error:
                raise AgentError("host", f"{self._paths[library]} cannot be read as a library: {error}") from None
        return False

    def _open(self, library: str) -> Exports:
        if library not in self._opened:
            with open(self._paths[library], "rb") as stream:
                content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._stack.callback(content.close)
            self._opened[library] = Exports(content)
        return self._opened[library]


class Exports:
    """What one 64-bit little-endian ELF library exports; sought as the loader does, by hash.

    Sources: System V ABI, "Object Files" and "Dynamic Linking"; for DT_GNU_HASH, binutils' bfd/elflink.c. *Raises*
    ValueError for another kind of file, and struct.error for one that is cut off.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        if content[:6] != b"\x7fELF\x02\x01":
            raise ValueError("it is no 64-bit little-endian ELF file")
        segments = list(self._segments())
        self._loaded = [segment for segment in segments if segment[0] == _PT_LOAD]
        tags = dict(self._dynamic_tags(segments))
        self._strings, self._symbols = self._offset(tags, _DT_STRTAB), self._offset(tags, _DT_SYMTAB)
        self._has_gnu_hash = _DT_GNU_HASH in tags
        self._table = self._offset(tags, _DT_GNU_HASH if self._has_gnu_hash else _DT_HASH)

    def has(self, name: bytes) -> bool:
        """Return whether it exports a symbol of this name."""
        candidates = self._by_gnu_hash(name) if self._has_gnu_hash else self._by_old_hash(name)
        return any(self._is_exported(index, name) for index in candidates)

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield type, offset, address and size in the file of each program header."""
        (start,) = self._read("<Q", 32)
        entry_bytes, count = self._read("<HH", 54)
        for number in range(count):
            kind, offset, address, size = self._read("<I4xQQ8xQ", start + entry_bytes * number)
            yield kind, offset, address, size

    def _dynamic_tags(self, segments: list[tuple[int, int, int, int]]) -> Iterator[tuple[int, int]]:
        for kind, offset, _, size in segments:
            if kind == _PT_DYNAMIC:
                for place in range(offset, offset + size, 16):
                    tag, value = self._read("<QQ", place)
                    yield tag, value

    def _offset(self, tags: dict[int, int], tag: int) -> int:
        """Return where in the file something lies whose address a dynamic tag says."""
        if tag in tags:
            for _, offset, address, size in self._loaded:
                if address <= tags[tag] < address + size:
                    return offset + tags[tag] - address
        raise ValueError(f"it has no dynamic table {tag:#x}")

    def _by_gnu_hash(self, name: bytes) -> Iterator[int]:
        buckets, first, bloom_words, shift = self._read("<IIII", self._table)
        number = _gnu_hash(name)
        bloom = self._table + 16
        (word,) = self._read("<Q", bloom + 8 * (number // 64 % bloom_words))
        if not (word >> number % 64 & 1 and word >> (number >> shift) % 64 & 1):
            return
        bucket_table = bloom + 8 * bloom_words
        chain = bucket_table + 4 * buckets
        (index,) = self._read("<I", bucket_table + 4 * (number % buckets))
        while index >= first:
            (found,) = self._read("<I", chain + 4 * (index - first))
            if found | 1 == number | 1:
                yield index
            if found & 1:
                return
            index += 1

    def _by_old_hash(self, name: bytes) -> Iterator[int]:
        buckets, _ = self._read("<II", self._table)
        (index,) = self._read("<I", self._table + 8 + 4 * (_old_hash(name) % buckets))
        while index:
            yield index
            (index,) = self._read("<I", self._table + 8 + 4 * (buckets + index))

    def _is_exported(self, index: int, name: bytes) -> bool:
        string, kind, other, section = self._read("<IBBH", self._symbols + _SYMBOL_BYTES * index)
        start = self._strings + string
        is_exported = section and kind >> 4 in _EXPORTING_BINDINGS and other & 3 in _VISIBLE
        return bool(is_exported) and self._content[start : start + len(name) + 1] == name + b"\0"

    def _read(self, layout: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(layout, self._content, place)


def _gnu_hash(name: bytes) -> int:
    number = 5381
    for letter in name:
        number = number * 33 + letter & 0xFFFFFFFF
    return number


def _old_hash(name: bytes) -> int:
    number = 0
    for letter in name:
        number = (number << 4) + letter
        top = number & 0xF0000000
        number = (number ^ top >> 24) & ~top
    return number
