"""What this host holds of a cargo: verified chunks, in memory until they are written, and on disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os

from .errors import AgentError
from .relay_files import TargetFile
from .relay_layout import DIGEST_BYTES, Layout, to_ranges
from .relay_stream import CHUNK, WrongBytesError
from .relay_writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    from .request import Request

_SPARE_BYTES = 16 << 20
_MORE_ROOM = "free some space there and run again: what is there already is not sent again"
_MOST_CHUNK_BYTES = 1 << 24
_MOST_GROUP_CHUNKS = 1 << 16


class Holding:
    """Takes chunks, has them written, and gives them out again; `wake` is called when that gets further by itself."""

    def __init__(self, request: Request, wake: Callable[[], None]) -> None:
        files: list[dict[str, Any]] = request.value("files", list)
        self.layout = _layout_of(request, files)
        self.files = [_target_of(request, file) for file in files]
        self.held_bytes = 0
        self.received_bytes = 0
        self._digests = [bytes.fromhex(digest) for file in files for digest in file["digests"]]
        if [len(file["digests"]) for file in files] != [len(groups) for groups in self.layout.files]:
            raise AgentError("usage", "relay: a file does not have one digest for each of its groups")
        self._lists: dict[int, bytes] = {}
        self._held = bytearray(len(self.layout.chunks))
        self._lacking_bytes = [file.size for file in self.files]
        self._writer = Writer(wake)
        self.has_room = self._writer.has_room

    @property
    def is_complete(self) -> bool:
        """Whether every chunk is here."""
        return self.held_bytes == self.layout.total_bytes

    @property
    def is_whole(self) -> bool:
        """Whether every file is there under its final name."""
        return all(file.is_whole for file in self.files)

    def holds(self, number: int) -> bool:
        """Return whether a chunk is here."""
        return self._held[number] == 1

    def lacking(self) -> list[tuple[int, int]]:
        """Return the chunks that are not here, as half-open ranges."""
        return to_ranges(number for number, is_held in enumerate(self._held) if not is_held)

    def look(self) -> Iterator[None]:
        """Find what is on the disk already, a group at each step: whole files, and what an interrupted run left.

        Raises AgentError (transfer) when the disk fails.
        """
        for index, file in enumerate(self.files):
            with self._telling(file):
                yield from self._look_at(index, file)

    def take_list(self, group: int, content: bytes) -> None:
        """Keep the list of a group. Raises WrongBytesError when it is not the one."""
        if hashlib.sha256(content).digest() != self._digests[group]:
            raise WrongBytesError(f"the list of group {group} does not have its digest")
        self._lists[group] = content

    def take_chunk(self, number: int, unit: bytearray) -> None:
        """Keep a chunk, with its letter before it; the list of its group is known. Raises WrongBytesError."""
        chunk = self.layout.chunks[number]
        start = chunk.place * DIGEST_BYTES
        digest = hashlib.sha256(memoryview(unit)[1:]).digest()
        if digest != self._lists[chunk.group][start : start + DIGEST_BYTES]:
            raise WrongBytesError(f"chunk {number} does not have its digest")
        if self._held[number]:
            return
        self._mark(number)
        self.received_bytes += chunk.size
        is_last = not self._lacking_bytes[chunk.file]
        self._writer.put(number, self.files[chunk.file], chunk.offset, unit, is_last=is_last)

    def list_of(self, group: int) -> bytes:
        """Return the list of a group of which at least one chunk is here."""
        return self._lists[group]

    def unit(self, number: int) -> bytearray:
        """Return a chunk that is here, with its letter. Raises AgentError (transfer) when the disk fails."""
        unit = self._writer.unwritten(number)
        if unit is None:
            chunk = self.layout.chunks[number]
            file = self.files[chunk.file]
            unit = bytearray(1 + chunk.size)
            unit[0] = CHUNK[0]
            with self._telling(file):
                if not file.read(memoryview(unit)[1:], chunk.offset):
                    raise OSError(errno.EIO, "it became shorter")
        return unit

    def flush(self) -> None:
        """Let what has come so far be written soon."""
        self._writer.flush()

    def check(self) -> None:
        """Raise AgentError (transfer) when something could not be written."""
        if self._writer.failure is not None:
            raise _failed(*self._writer.failure)

    def check_room(self) -> None:
        """Raise AgentError (transfer) when the disk will not take what lacks; after the first look."""
        needed: dict[int, int] = {}
        for index, file in enumerate(self.files):
            if file.is_whole:
                continue
            with self._telling(file):
                device, free = file.room()
            needed[device] = needed.get(device, 0) + self._lacking_bytes[index]
            if free < needed[device] + _SPARE_BYTES:
                message = f"{file.path} cannot be written: {free:,} bytes are free there, {needed[device]:,} are needed"
                raise AgentError("transfer", f"{message} and {_SPARE_BYTES:,} to spare", _MORE_ROOM)

    def close(self) -> None:
        """Leave what is on the disk to the next run."""
        if self._writer.close():
            for file in self.files:
                file.close()

    def _look_at(self, index: int, file: TargetFile) -> Iterator[None]:
        if file.is_whole:
            return
        found: dict[int, bytes] = {}
        descriptor = file.open_final()
        if descriptor is not None:
            yield from self._verify(index, descriptor, found)
            if len(found) == len(self.layout.files[index]):
                file.adopt(descriptor)
                self._keep(found)
                return
            os.close(descriptor)
            found.clear()
        if not file.is_open:
            yield from self._verify(index, file.open_part(), found)
            self._keep(found)
            if not self._lacking_bytes[index]:
                file.finish()

    def _verify(self, index: int, descriptor: int, found: dict[int, bytes]) -> Iterator[None]:
        """Put into `found` the lists of a file's groups, up to the first that is not right."""
        for group in self.layout.files[index]:
            chunks = [self.layout.chunks[number] for number in self.layout.groups[group]]
            pieces = (os.pread(descriptor, chunk.size, chunk.offset) for chunk in chunks)
            content = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
            if hashlib.sha256(content).digest() != self._digests[group]:
                return
            found[group] = content
            yield

    def _keep(self, found: dict[int, bytes]) -> None:
        self._lists.update(found)
        for group in found:
            for number in self.layout.groups[group]:
                if not self._held[number]:
                    self._mark(number)

    def _mark(self, number: int) -> None:
        chunk = self.layout.chunks[number]
        self._held[number] = 1
        self._lacking_bytes[chunk.file] -= chunk.size
        self.held_bytes += chunk.size

    @contextlib.contextmanager
    def _telling(self, file: TargetFile) -> Iterator[None]:
        """Say of which file an OSError is."""
        try:
            yield
        except OSError as error:
            raise _failed(file, error) from error


def _failed(file: TargetFile, error: OSError) -> AgentError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return AgentError(
        "transfer", f"{file.path} cannot be written or read: {error.strerror}", _MORE_ROOM if is_full else None
    )


def _layout_of(request: Request, files: list[dict[str, Any]]) -> Layout:
    chunk_bytes, group_chunks = request.value("chunk_bytes", int), request.value("group_chunks", int)
    if not 0 < chunk_bytes <= _MOST_CHUNK_BYTES or not 0 < group_chunks <= _MOST_GROUP_CHUNKS:
        raise AgentError("usage", f"relay: {group_chunks} chunks of {chunk_bytes} bytes are no group")
    return Layout([int(file["size"]) for file in files], chunk_bytes, group_chunks)


def _target_of(request: Request, file: dict[str, Any]) -> TargetFile:
    mode = file.get("mode")
    return TargetFile(request.cache.resolve(file["path"]), int(file["size"]), 0o600 if mode is None else int(mode))
