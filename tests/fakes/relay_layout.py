"""How the files of a cargo are cut, and what the controller feeds of them: checked as an agent does."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_DIGEST_BYTES = 32


class Layout:
    """The chunks of all files, numbered through, in groups that never cross files."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        """Read the parameters of the operation `relay`. Raises ValueError when they contradict each other."""
        self.sizes: list[int] = []
        """Bytes of each chunk."""
        self.group_of: list[int] = []
        """Chunk → its group."""
        self.counts: list[int] = []
        """Chunks of each group."""
        self.digests: list[str] = []
        """Of the list of each group."""
        for file in request["files"]:
            self._add(file, request["chunk_bytes"], request["group_chunks"])
        self.total_bytes = sum(self.sizes)

    def _add(self, file: Mapping[str, Any], chunk_bytes: int, group_chunks: int) -> None:
        sizes = [min(chunk_bytes, file["size"] - start) for start in range(0, file["size"], chunk_bytes)]
        counts = [min(group_chunks, len(sizes) - start) for start in range(0, len(sizes), group_chunks)]
        if len(file["digests"]) != len(counts):
            raise ValueError(f"{len(file['digests'])} digests for {len(counts)} groups of {file['path']}")
        self.group_of += [len(self.counts) + index // group_chunks for index in range(len(sizes))]
        self.sizes += sizes
        self.counts += counts
        self.digests += file["digests"]


class StreamReader:
    """Cuts what the controller feeds into lists and chunks."""

    def __init__(self, layout: Layout, wanted: Iterable[int]) -> None:
        """Expect these chunks, in this order."""
        self._layout = layout
        self._wanted = deque(wanted)
        self._buffer = bytearray()
        self._group: tuple[int, bytes] = (-1, b"")
        """The last group of which a list came, and the list."""

    def read(self, piece: bytes) -> Iterator[int]:
        """Yield each chunk that is whole. Raises ValueError when the stream is not as the protocol says."""
        self._buffer += piece
        while self._buffer:
            mark = bytes(self._buffer[:1])
            if mark == b".":
                del self._buffer[:1]
                continue
            if not self._wanted or mark not in (b"L", b"C"):
                raise ValueError(f"{mark!r} was fed, {len(self._wanted)} chunks are still wanted")
            chunk = self._wanted[0]
            group = self._layout.group_of[chunk]
            size = _DIGEST_BYTES * self._layout.counts[group] if mark == b"L" else self._layout.sizes[chunk]
            if len(self._buffer) <= size:
                return
            body = bytes(self._buffer[1 : size + 1])
            del self._buffer[: size + 1]
            if mark == b"L":
                self._open(group, body)
            else:
                yield self._check(self._wanted.popleft(), group, body)

    def _open(self, group: int, listed: bytes) -> None:
        if hashlib.sha256(listed).hexdigest() != self._layout.digests[group]:
            raise ValueError(f"the list of group {group} is another one than was announced")
        self._group = (group, listed)

    def _check(self, chunk: int, group: int, content: bytes) -> int:
        opened, listed = self._group
        if opened != group:
            raise ValueError(f"chunk {chunk} was fed before the list of its group {group}")
        start = _DIGEST_BYTES * (chunk - self._layout.group_of.index(group))
        if hashlib.sha256(content).digest() != listed[start : start + _DIGEST_BYTES]:
            raise ValueError(f"chunk {chunk} has other bytes than its list says")
        return chunk
