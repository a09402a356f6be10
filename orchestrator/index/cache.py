"""What was fetched before: files by content, and which files answered which question."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import TransferError
from orchestrator.index.stand_ins import name_of
from orchestrator.model.codec import DocumentError, canonical_json, digest_of, from_document
from orchestrator.ports import PackageFile

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file of the cache: `files-v1/<sha256>/<filename>`."""

    sha256: str
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What answered a question, and what of the host it depended on."""

    files: tuple[CachedFile, ...]
    installed: Mapping[str, str] = field(default_factory=dict)
    """Name → version of the installed distributions that were used; others did not matter."""

    def holds_for(self, installed: Mapping[str, str]) -> bool:
        """Whether the answer is right for a host with these distributions: it uses the same and adds none of them."""
        is_same = all(installed.get(name) == version for name, version in self.installed.items())
        fetched = {name_of(file.filename) for file in self.files if file.filename.endswith(".whl")}
        return is_same and fetched.isdisjoint(installed)


class FileCache:
    """A folder that several processes and threads may use at once; a file is found whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._files = root / "files-v1"
        self._answers = root / "answers-v1"

    def keep(self, path: Path) -> PackageFile:
        """Take a file in, under its own name."""
        cached = CachedFile(sha256=_digest_of(path), filename=path.name)
        target = self._path_of(cached)
        if self.find(cached) is None:
            with _replacing(target) as part:
                shutil.copyfile(path, part)
        return PackageFile(path=target, sha256=cached.sha256)

    def find(self, cached: CachedFile) -> PackageFile | None:
        """Return a kept file after checking its digest; None when it is not there or damaged."""
        path = self._path_of(cached)
        if not path.is_file() or _digest_of(path) != cached.sha256:
            return None
        return PackageFile(path=path, sha256=cached.sha256)

    def remember(self, question: str, files: tuple[PackageFile, ...], *, installed: Mapping[str, str]) -> None:
        """Write down what answered a question (its digest) for hosts with these distributions."""
        answer = Answer(
            files=tuple(CachedFile(sha256=file.sha256, filename=file.filename) for file in files), installed=installed
        )
        with _replacing(self._answers / question / f"{digest_of(answer)}.json") as part:
            part.write_bytes(canonical_json(answer))

    def recall(self, question: str, *, installed: Mapping[str, str]) -> tuple[PackageFile, ...] | None:
        """Return the files that answered a question before; None when nothing did, or a file of it is gone."""
        for path in sorted((self._answers / question).glob("*.json")):
            answer = _read_answer(path)
            if answer is not None and answer.holds_for(installed):
                files = tuple(self.find(cached) for cached in answer.files)
                whole = tuple(file for file in files if file is not None)
                if len(whole) == len(files):
                    return whole
        return None

    def _path_of(self, cached: CachedFile) -> Path:
        return self._files / cached.sha256 / cached.filename


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a temporary name beside `target`; what was written there takes its place at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as folder:
            part = Path(folder, target.name)
            yield part
            part.replace(target)
    except OSError as error:
        reason = error.strerror or error
        raise TransferError(f"{target} could not be written: {reason}", hint="see that there is space") from error


def _read_answer(path: Path) -> Answer | None:
    try:
        return from_document(Answer, json.loads(path.read_bytes()))
    except (ValueError, DocumentError):
        return None


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
