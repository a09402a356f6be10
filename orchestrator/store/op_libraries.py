"""Compiled ops in a folder: one lies in `<op key>/` beside its digest, renamed there whole or not at all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.model.wheels import OpKey
from orchestrator.store.drafts import PREFIX, make_draft, make_private, publish, sync, take_turns
from orchestrator.store.wheel_files import digest_of_file

RECORD_NAME = "sha256"
"""As sha256sum writes and checks it; its time of change is when the library was used last."""
DEFAULT_LIMIT_BYTES = 5_000_000_000
KEPT_S = 86400.0
"""What was used within a day is never thrown out: a build may be at work with it."""


def _ignore(_text: str) -> None:
    pass


class FolderOpCache:
    """Compiled ops in a folder; implements the port OpCache, for several processes and threads at once.

    It never raises: without it a build is only slower. `on_note` is told what could not be kept.
    """

    def __init__(
        self, folder: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES, on_note: Callable[[str], None] = _ignore
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._on_note = on_note
        self._is_bounded = False

    def find(self, key: OpKey) -> Path | None:
        """Return the library that was compiled for this key; a damaged one is removed and not found."""
        entry = self._folder / key
        if not entry.is_dir():
            return None
        with suppress(OSError), self._turn():
            library = _whole_library_in(entry)
            if library is None:
                self._remove(entry)
                return None
            os.utime(entry / RECORD_NAME)
            return library
        return None

    def add(self, key: OpKey, library: Path) -> None:
        """Take a library in; one that is there already stays."""
        entry = self._folder / key
        try:
            make_private(self._folder)
            with self._turn(), make_draft(self._folder) as draft:
                self._bound_once()
                if entry.exists() and _whole_library_in(entry):
                    return
                _write(draft, library)
                if entry.exists():
                    self._remove(entry)
                publish(draft, entry)
        except OSError as error:
            self._on_note(f"{library.name} is not kept for the next build: {error.filename}: {error.strerror}")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be the only one at work in the folder; waits are too short to tell anybody."""
        with take_turns(self._folder, self._folder / ".lock", on_wait=_ignore):
            yield

    def _remove(self, entry: Path) -> None:
        with make_draft(self._folder) as draft:
            entry.rename(draft / entry.name)

    def _bound_once(self) -> None:
        """Throw out what was not used for longest, until all fits: once in the life of this object."""
        if self._is_bounded:
            return
        self._is_bounded = True
        entries = [entry for entry in self._folder.iterdir() if entry.is_dir() and not entry.name.startswith(PREFIX)]
        excess_bytes = sum(map(_size_of, entries)) - self._limit_bytes
        for entry in sorted(entries, key=_used_at):
            if excess_bytes <= 0 or time.time() - _used_at(entry) < KEPT_S:
                break
            excess_bytes -= _size_of(entry)
            self._remove(entry)


def _write(draft: Path, library: Path) -> None:
    copy, record = draft / library.name, draft / RECORD_NAME
    shutil.copyfile(library, copy)
    record.write_text(f"{digest_of_file(copy)}  {library.name}\n", encoding="utf-8")
    for path in (copy, record, draft):
        sync(path)


def _whole_library_in(entry: Path) -> Path | None:
    """Return the library of an entry; None when its bytes are not those that were recorded."""
    try:
        digest, _, name = (entry / RECORD_NAME).read_text(encoding="utf-8").rstrip("\n").partition("  ")
        library = entry / Path(name).name
        return library if digest_of_file(library) == digest else None
    except (OSError, ValueError):
        return None


def _size_of(entry: Path) -> int:
    return sum(path.stat().st_size for path in entry.iterdir())


def _used_at(entry: Path) -> float:
    """Return when an entry was used last, in seconds since 1970; 0 for one whose record is lost."""
    record = entry / RECORD_NAME
    return record.stat().st_mtime if record.exists() else 0.0
