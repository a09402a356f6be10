"""A package index whose files are made when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import TransferError
from orchestrator.model.recipe import Source, SourceKind
from orchestrator.ports import PackageFile, TargetTags


class FakeIndex:
    """Remembers what was asked; has everything but `absent`."""

    def __init__(self, folder: Path, *, absent: Sequence[str] = ()) -> None:
        self.asked: list[tuple[tuple[str, ...], TargetTags, dict[str, str]]] = []
        self._folder = folder
        self._absent = absent

    def wheels(
        self, requirements: Sequence[str], tags: TargetTags, *, constraints: Mapping[str, str]
    ) -> tuple[PackageFile, ...]:
        self.asked.append((tuple(requirements), tags, dict(constraints)))
        return tuple(self._file(requirement) for requirement in requirements)

    def source(self, source: Source) -> PackageFile:
        return self._file(f"deepspeed=={source.value}")

    def resolve(self, source: Source) -> Source:
        return source if source.kind is SourceKind.VERSION else replace(source, revision="f" * 40)

    def _file(self, requirement: str) -> PackageFile:
        name = requirement.replace(">=", "-").replace("==", "-")
        if name in self._absent:
            raise TransferError(f"no wheel of {name} fits", hint="see the index")
        path = self._folder / f"{name}-py3-none-any.whl"
        path.write_bytes(name.encode())
        return PackageFile(path=path, sha256=hashlib.sha256(name.encode()).hexdigest())
