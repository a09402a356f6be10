"""Puts folders into place whole or not at all, one writer at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.store.locks import hold

PREFIX = ".part-"


@contextmanager
def take_turns(folder: Path, lock: Path, *, on_wait: Callable[[str], None]) -> Iterator[tuple[Path, ...]]:
    """Be the only writer of a folder; yields the drafts that dead writers left in it, already removed.

    Writers take turns, so whatever has a draft's name when one begins was left by a dead one.
    """
    with hold(lock, on_wait=on_wait):
        leftovers = tuple(folder.glob(f"{PREFIX}*"))
        for leftover in leftovers:
            shutil.rmtree(leftover)
        yield leftovers


@contextmanager
def make_draft(folder: Path) -> Iterator[Path]:
    """Make a folder of a temporary name beside its future place, gone at the end unless it was published."""
    draft = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def publish(draft: Path, place: Path) -> None:
    """Give a draft its final name; what is in it is on disk already."""
    draft.rename(place)
    sync(place.parent)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter, and its parent too."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
