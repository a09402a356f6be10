"""A store that remembers, for tests of stages; it keeps the contract of tests/store/test_store_contract.py."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.model.wheels import Artifact, BuildKey, Manifest, Sha256


class MemoryStore:
    """Remembers wheels and keeps copies of their files; any file will do as a wheel."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.artifacts: dict[Sha256, Artifact] = {}
        self.paths: dict[Sha256, Path] = {}
        self.locks: dict[BuildKey, threading.Lock] = {}

    def find(self, key: BuildKey) -> Artifact | None:
        return next((artifact for artifact in self.all() if artifact.manifest.build_key == key), None)

    def get(self, sha256: str) -> Artifact | None:
        if len(sha256) < 6:
            raise StoreError(f"{sha256!r} does not name a wheel")
        found = [artifact for digest, artifact in self.artifacts.items() if digest.startswith(sha256)]
        if len(found) > 1:
            raise StoreError(f"{sha256} names {len(found)} wheels")
        return found[0] if found else None

    def add(self, wheel: Path, manifest: Manifest) -> Artifact:
        digest = _digest_of(wheel)
        artifact = Artifact(sha256=digest, filename=wheel.name, size_bytes=wheel.stat().st_size, manifest=manifest)
        copy = self._folder / digest / wheel.name
        if digest not in self.paths:
            copy.parent.mkdir(parents=True)
            self.paths[digest] = shutil.copyfile(wheel, copy)
        return self.artifacts.setdefault(digest, artifact)

    def path_of(self, artifact: Artifact) -> Path:
        path = self.paths.get(artifact.sha256)
        if path is None or not path.exists() or _digest_of(path) != artifact.sha256:
            raise StoreError(f"{artifact.filename}: missing or damaged")
        return path

    def all(self) -> tuple[Artifact, ...]:
        return tuple(reversed(self.artifacts.values()))

    @contextmanager
    def lock(self, key: BuildKey) -> Iterator[None]:
        with self.locks.setdefault(key, threading.Lock()):
            yield


def _digest_of(path: Path) -> Sha256:
    return Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
