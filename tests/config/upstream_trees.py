"""DeepSpeed's source, from the configured package index."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from orchestrator.index.pip_index import PipIndex
from orchestrator.model.recipe import Source, SourceKind


def unpack_sdist(version: str, folder: Path) -> Path:
    """Return the root of a version's source tree, under `folder`."""
    archive = PipIndex(folder / "index", environ=os.environ).source(Source(kind=SourceKind.VERSION, value=version))
    with tarfile.open(archive.path) as file:
        file.extractall(folder / version, filter="data")
    (tree,) = (folder / version).iterdir()
    return tree
