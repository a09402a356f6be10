"""Finds installed distributions, reads what their RECORD says of their files (PEP 376, PEP 627), and checks it."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_PIECE_BYTES = 1 << 20
_NAMED = 3


class RecordedFile:
    """One line of a RECORD; `path` is absolute, `digest` and `size` are None where the line has none."""

    def __init__(self, path: str, digest: str | None, size: int | None) -> None:
        self.path = path
        self.digest = digest
        self.size = size


def find_metadata(folder: str, name: str) -> list[str]:
    """Return the metadata of a distribution (normalised name) in a site-packages: `.dist-info`, `.egg-info`, `.egg`."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [os.path.join(folder, found) for found in names if _distribution_of(found) == name]


def read_record(metadata: str) -> list[RecordedFile]:
    """Return the lines of the RECORD in a `.dist-info`. Raises AgentError (install) when there is none to read."""
    site = os.path.dirname(metadata)
    path = os.path.join(metadata, "RECORD")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, csv.Error) as error:
        raise AgentError("install", f"{path} cannot be read: {error}") from error
    return [_recorded(site, row) for row in rows]


def check_record(metadata: str) -> str:
    """Read every file back, and return the digest (sha256, hex) of the RECORD itself.

    Raises AgentError (install) when one is missing, or has other bytes than RECORD says.
    """
    wrong = [file.path for file in read_record(metadata) if not _is_as_recorded(file)]
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        names = ", ".join(wrong[:_NAMED])
        raise AgentError("install", f"not as {os.path.basename(metadata)} says: {names}{more}")
    return digest_of(os.path.join(metadata, "RECORD")).hex()


def digest_of(path: str, algorithm: str = "sha256") -> bytes:
    """Return a file's digest. Raises OSError."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as stream:
        for piece in iter(lambda: stream.read(_PIECE_BYTES), b""):
            digest.update(piece)
    return digest.digest()


def compiled_forms(source: str) -> Iterator[str]:
    """Yield what Pythons have compiled a `.py` to, half-written files as well."""
    folder, name = os.path.split(source)
    stem, extension = os.path.splitext(name)
    if extension == ".py":
        cache = os.path.join(folder, "__pycache__")
        try:
            names = os.listdir(cache)
        except OSError:
            return
        yield from (os.path.join(cache, found) for found in names if found.startswith(f"{stem}.") and ".pyc" in found)


def _distribution_of(name: str) -> str | None:
    stem, extension = os.path.splitext(name)
    if extension not in (".dist-info", ".egg-info", ".egg") or stem.startswith("~"):
        return None
    return re.sub(r"[-_.]+", "-", stem.partition("-")[0]).lower()


def _recorded(site: str, row: list[str]) -> RecordedFile:
    path, digest, size = (*row, "", "")[:3]
    return RecordedFile(os.path.join(site, path), digest or None, int(size) if size.isdigit() else None)


def _is_as_recorded(file: RecordedFile) -> bool:
    try:
        if file.size is not None and os.path.getsize(file.path) != file.size:
            return False
        if file.digest is None:
            return os.path.exists(file.path)
        algorithm, _, expected = file.digest.partition("=")
        found = base64.urlsafe_b64encode(digest_of(file.path, algorithm)).rstrip(b"=").decode()
    except (OSError, ValueError):
        return False
    return found == expected
