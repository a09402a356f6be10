"""Files in and out: hashed on the way, to a temporary name first, and never left half."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request

_PIECE_BYTES = 1 << 18


class Upload:
    """A file that is on its way here; it gets its name when it is whole and its digest fits.

    Raises AgentError (transfer) when it cannot be written; nothing stays of it then.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._path = request.cache.resolve(request.value("path", str))
        self._size = request.value("size", int)
        self._sha256 = request.value("sha256", str)
        self._mode = request.optional("mode", int)
        self._digest = hashlib.sha256()
        self._arrived = 0
        folder, name = os.path.split(self._path)
        self._part = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.part")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise self._failed(error) from error

    def take(self, chunk: bytes) -> str | None:
        """Write a chunk; return the file's absolute path when this was the last one, else None."""
        self._digest.update(chunk)
        self._arrived += len(chunk)
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if self._arrived < self._size:
                return None
            self._finish()
        except OSError as error:
            self.abandon()
            raise self._failed(error) from error
        return self._path

    def abandon(self) -> None:
        """Remove what has arrived."""
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._part)

    def _finish(self) -> None:
        if self._arrived != self._size or self._digest.hexdigest() != self._sha256:
            self.abandon()
            found = f"{self._arrived} bytes, sha256 {self._digest.hexdigest()}"
            wanted = f"{self._size} bytes, sha256 {self._sha256}"
            raise AgentError("transfer", f"{self._path} did not arrive whole: {found}, not {wanted}")
        os.fchmod(self._descriptor, 0o600 if self._mode is None else self._mode)
        self._close()
        os.replace(self._part, self._path)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _failed(self, error: OSError) -> AgentError:
        message = f"{self._path} cannot be written: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return AgentError(
                "transfer", f"{message} ({self._size} bytes needed)", "free some space there and run again"
            )
        return AgentError("transfer", message)


def get(request: Request) -> dict[str, Any]:
    """Send a file in chunks."""
    path = request.cache.resolve(request.value("path", str))
    digest = hashlib.sha256()
    size = 0
    try:
        with open(path, "rb") as stream:
            for piece in iter(lambda: stream.read(_PIECE_BYTES), b""):
                if request.children.is_ended:
                    break
                digest.update(piece)
                size += len(piece)
                request.event("chunk", piece)
    except OSError as error:
        raise AgentError("transfer", f"{path} cannot be read: {error.strerror}") from error
    return {"size": size, "sha256": digest.hexdigest()}


def has(request: Request) -> dict[str, Any]:
    """Say which of `files` are missing here, or are there with other bytes."""
    files = request.value("files", list)
    missing = [file["path"] for file in files if sha256_of(request.cache.resolve(file["path"])) != file["sha256"]]
    return {"missing": missing}


def sha256_of(path: str) -> str | None:
    """Return a file's digest (hex); None when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for piece in iter(lambda: stream.read(_PIECE_BYTES), b""):
                digest.update(piece)
    except OSError:
        return None
    return digest.hexdigest()
