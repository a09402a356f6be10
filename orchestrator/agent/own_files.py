"""Tells which files are an interpreter's own, and which belong to somebody else."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Mapping


class Site:
    """Where an interpreter's own distributions are: `folders` hold their metadata, below `roots` is all that is theirs.

    All paths are physical, links in them resolved, so that each file has one name.
    """

    def __init__(self, scheme: Mapping[str, str]) -> None:
        self.folders = _unique(os.path.realpath(scheme[name]) for name in ("platlib", "purelib"))
        self.roots = _unique([*self.folders, *(os.path.realpath(scheme[name]) for name in ("scripts", "data"))])
        self._physical: dict[str, str] = {}

    def own(self, paths: Iterable[str]) -> list[str]:
        """Return the physical paths of those that are below the roots, each once; pip leaves others alone, so do we."""
        return _unique(path for path in map(self._resolve, paths) if self._is_inside(path))

    def folders_above(self, paths: Iterable[str]) -> list[str]:
        """Return every folder between the roots and some of its own paths, and where Python compiles them to."""
        found: set[str] = set()
        for path in paths:
            folder = os.path.dirname(path)
            if path.endswith(".py"):
                found.add(os.path.join(folder, "__pycache__"))
            while folder not in self.roots and folder not in found:
                found.add(folder)
                folder = os.path.dirname(folder)
        return sorted(found)

    def _resolve(self, path: str) -> str:
        folder, name = os.path.split(path)
        if folder not in self._physical:
            self._physical[folder] = os.path.realpath(folder)
        return os.path.join(self._physical[folder], name)

    def _is_inside(self, path: str) -> bool:
        return any(path.startswith(root.rstrip(os.sep) + os.sep) for root in self.roots)


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))
