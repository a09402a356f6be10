"""The controller's ends of a file transfer: what leaves in chunks, and what arrives whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import TransferError
from orchestrator.model.wheels import Sha256
from orchestrator.remote.frames import CHUNK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A file or some bytes, with the digest that the other side will check."""

    source: Path | bytes
    size_bytes: int
    sha256: Sha256

    @classmethod
    def of(cls, source: Path | bytes) -> Outgoing:
        """Measure what will be sent."""
        digest = hashlib.sha256()
        size_bytes = 0
        for chunk in _chunks(source):
            digest.update(chunk)
            size_bytes += len(chunk)
        return cls(source=source, size_bytes=size_bytes, sha256=Sha256(digest.hexdigest()))

    def chunks(self) -> Iterator[bytes]:
        """Yield the measured bytes, 256 KiB at a time; fewer when the file shrank meanwhile."""
        left_bytes = self.size_bytes
        for chunk in _chunks(self.source):
            yield chunk[:left_bytes]
            left_bytes -= len(chunk)
            if left_bytes <= 0:
                return


class Incoming:
    """A file that grows under a temporary name beside its own."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    @classmethod
    @contextmanager
    def open(cls, target: Path) -> Iterator[Incoming]:
        """Make the file appear at `target` when the block ends well, and leave no trace when it does not."""
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield cls(stream)
            Path(part).replace(target)
        finally:
            Path(part).unlink(missing_ok=True)

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._digest.update(chunk)
        self._stream.write(chunk)

    def check(self, *, sha256: str) -> Sha256:
        """Return the digest of what arrived. Raises TransferError when it is not `sha256`."""
        found = self._digest.hexdigest()
        if found != sha256:
            raise TransferError(f"what arrived has digest {found[:12]}, what was sent {sha256[:12]}")
        return Sha256(found)


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
