"""Cuts files into chunks, and makes the digests that fix every byte before one is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import TransferError
from orchestrator.planning.fanout import ChunkSizes
from orchestrator.ports import Parcel

_DIGEST_BYTES = hashlib.sha256().digest_size
LIST, CHUNK = b"L", b"C"
"""How units begin: the digests of a group's chunks, joined; and a chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freight:
    """Files that the same hosts should get."""

    hosts: tuple[str, ...]
    parcels: tuple[Parcel, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(parcel.size_bytes for parcel in self.parcels)


def sort_freight(parcels: Mapping[str, Sequence[Parcel]]) -> tuple[Freight, ...]:
    """Group what each host (key) should get by who else gets it."""
    takers: dict[str, tuple[Parcel, list[str]]] = {}
    for host, wanted in parcels.items():
        for parcel in wanted:
            takers.setdefault(parcel.path, (parcel, []))[1].append(host)
    freights: dict[tuple[str, ...], list[Parcel]] = {}
    for parcel, hosts in takers.values():
        freights.setdefault(tuple(hosts), []).append(parcel)
    return tuple(Freight(hosts=hosts, parcels=tuple(group)) for hosts, group in freights.items())


class Cargo:
    """A freight cut into chunks, numbered through over all its files; groups of chunks never cross files."""

    def __init__(self, parcels: Sequence[Parcel], sizes: ChunkSizes) -> None:
        """Read all files once. Raises TransferError when one is not what its digest says, or cannot be read."""
        self._sizes = sizes
        self._files = [_CutFile.read(parcel, sizes.chunk_bytes) for parcel in parcels]

    @property
    def parameters(self) -> dict[str, Any]:
        """What the agent's operation `relay` must know of it."""
        return {
            "files": [file.description(self._sizes.group_chunks) for file in self._files],
            "chunk_bytes": self._sizes.chunk_bytes,
            "group_chunks": self._sizes.group_chunks,
        }

    def stream(self, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the units for chunks in half-open ranges: `L` and a group's list before its first, `C` and each chunk.

        Raises OSError when a file cannot be read.
        """
        start = 0
        for file in self._files:
            end = start + file.chunk_count
            wanted = [(max(first, start) - start, min(last, end) - start) for first, last in ranges]
            yield from self._stream_file(file, [(first, last) for first, last in wanted if first < last])
            start = end

    def _stream_file(self, file: _CutFile, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        if not ranges:
            return
        told = -1
        with file.parcel.source.open("rb") as stream:
            for first, last in ranges:
                stream.seek(first * self._sizes.chunk_bytes)
                for number in range(first, last):
                    group = number // self._sizes.group_chunks
                    if group != told:
                        told = group
                        yield LIST + file.list_of(group, self._sizes.group_chunks)
                    yield CHUNK + stream.read(self._sizes.chunk_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CutFile:
    parcel: Parcel
    digests: bytes
    """Of all chunks, joined."""

    @classmethod
    def read(cls, parcel: Parcel, chunk_bytes: int) -> _CutFile:
        whole = hashlib.sha256()
        digests = bytearray()
        try:
            for chunk in _chunks(parcel.source, chunk_bytes):
                whole.update(chunk)
                digests += hashlib.sha256(chunk).digest()
        except OSError as error:
            raise TransferError(f"{parcel.source} cannot be read: {error.strerror}") from error
        if whole.hexdigest() != parcel.sha256:
            raise TransferError(f"{parcel.source} has sha256 {whole.hexdigest()}, expected {parcel.sha256}")
        return cls(parcel=parcel, digests=bytes(digests))

    @property
    def chunk_count(self) -> int:
        return len(self.digests) // _DIGEST_BYTES

    def list_of(self, group: int, group_chunks: int) -> bytes:
        size = group_chunks * _DIGEST_BYTES
        return self.digests[group * size : (group + 1) * size]

    def description(self, group_chunks: int) -> dict[str, Any]:
        groups = range(-(-self.chunk_count // group_chunks))
        return {
            "path": self.parcel.path,
            "sha256": self.parcel.sha256,
            "size": self.parcel.size_bytes,
            "digests": [hashlib.sha256(self.list_of(group, group_chunks)).hexdigest() for group in groups],
        }


def _chunks(path: Path, chunk_bytes: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(chunk_bytes):
            yield chunk
