"""Packs a source tree so that equal trees give equal bytes."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

TOP_FOLDER = "deepspeed"
MTIME_S = 315532800
"""1980-01-01: the oldest time that a wheel (a zip file) can hold."""
BUILT_SUFFIXES = (".pyc", ".so", ".o", ".egg-info")
BUILT_FOLDERS = frozenset({".git", "__pycache__"})
BUILT_AT_TOP = frozenset({"build", "dist"})
BUILT_FILES = frozenset({"git_version_info_installed.py"})
"""DeepSpeed's setup.py writes it into the tree (0.8 to 0.19)."""


def archive_tree(tree: Path, target: Path) -> None:
    """Write a tree as an uncompressed tar with one top folder, without version control and build products.

    Names are sorted; owners and times are fixed; of the modes only `executable` is kept.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in _source_files(tree):
            entry = tar.gettarinfo(path, f"{TOP_FOLDER}/{path.relative_to(tree).as_posix()}")
            if entry.islnk():
                entry.type, entry.size = tarfile.REGTYPE, path.stat().st_size
            _make_plain(entry)
            if entry.isreg():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)


def _source_files(tree: Path) -> Iterator[Path]:
    """Yield every file and link in sorted order; links to folders are not followed."""
    for folder, folders, files in os.walk(tree):
        here = Path(folder)
        built = BUILT_FOLDERS | (BUILT_AT_TOP if here == tree else frozenset())
        folders[:] = sorted(name for name in folders if name not in built and not name.endswith(BUILT_SUFFIXES))
        links = {name for name in folders if (here / name).is_symlink()}
        for name in sorted(links.union(files)):
            if name not in BUILT_FILES and not name.endswith(BUILT_SUFFIXES):
                yield here / name


def _make_plain(entry: tarfile.TarInfo) -> None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = MTIME_S
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
