"""Memories of earlier builds that last as long as the test; they keep the contracts of tests/store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.model.wheels import OpKey
from orchestrator.ports import PastCompile


class MemoryOpCache:
    """Remembers libraries and keeps copies of their files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.libraries: dict[OpKey, Path] = {}

    def find(self, key: OpKey) -> Path | None:
        return self.libraries.get(key)

    def add(self, key: OpKey, library: Path) -> None:
        if key not in self.libraries:
            copy = self._folder / key / library.name
            copy.parent.mkdir(parents=True)
            self.libraries[key] = shutil.copyfile(library, copy)


class MemoryHistory:
    """Remembers compiler runs."""

    def __init__(self, runs: Mapping[str, PastCompile] | None = None) -> None:
        self.runs = dict(runs or {})

    def recall(self, label: str) -> PastCompile | None:
        return self.runs.get(label)

    def remember(self, runs: Mapping[str, PastCompile]) -> None:
        self.runs.update(runs)
