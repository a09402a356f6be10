"""The store as a folder: a wheel lies in `wheels-v1/<build key>/<sha256>/`, renamed there whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.model.wheels import Artifact, BuildKey, Manifest
from orchestrator.store.drafts import make_draft, make_private, publish, sync, take_turns
from orchestrator.store.entries import age_of, check_entry, read_entry, removal_hint, write_entry
from orchestrator.store.locks import hold
from orchestrator.store.wheel_files import digest_of_file

SHA256 = re.compile(r"[0-9a-f]{64}")
SHA256_PREFIX = re.compile(r"[0-9a-f]{6,64}")
BUILD_KEY = re.compile(r"\w[\w-]*")


def _ignore(_text: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that `verify` found wrong."""

    path: Path
    problem: str
    hint: str | None = None


class FolderStore:
    """Wheels in a folder; implements the port Store, for several processes and threads at once.

    `on_wait` is told whose lock is waited for; `on_note` what was cleaned up.
    """

    def __init__(
        self, root: Path, *, on_wait: Callable[[str], None] = _ignore, on_note: Callable[[str], None] = _ignore
    ) -> None:
        self._wheels = root / "wheels-v1"
        self._locks = root / "locks-v1"
        self._on_wait = on_wait
        self._on_note = on_note

    def find(self, key: BuildKey) -> Artifact | None:
        """Return the newest wheel built for this key; None when there is none."""
        newest = max(_entries_in(self._wheels / _checked(key)), key=age_of, default=None)
        return read_entry(newest) if newest else None

    def get(self, sha256: str) -> Artifact | None:
        """Return the wheel with this digest or unique prefix; None when there is none.

        Raises StoreError when the prefix is shorter than 6 hex digits, or not unique.
        """
        folder = self._folder_of(sha256)
        return read_entry(folder) if folder else None

    def add(self, wheel: Path, manifest: Manifest) -> Artifact:
        """Take a wheel in; a second add of equal bytes changes nothing.

        Raises StoreError when it is no whole wheel, its inside says something else, or there is no space.
        """
        key = _checked(manifest.build_key)
        with self._writing(), make_draft(self._wheels) as draft:
            artifact = write_entry(draft, wheel, manifest)
            folder = self._wheels / key / artifact.sha256
            if not folder.exists():
                make_private(folder.parent)
                publish(draft, folder)
                sync(self._wheels)
                return artifact
        stored = read_entry(folder)
        self.path_of(stored)
        return stored

    def path_of(self, artifact: Artifact) -> Path:
        """Return where a wheel's file lies, after its digest was checked; raises StoreError when it does not fit."""
        folder = self._wheels / _checked(artifact.manifest.build_key) / artifact.sha256
        path = folder / artifact.filename
        try:
            found = digest_of_file(path)
        except OSError as error:
            message = f"{path}: cannot be read: {error.strerror or error}"
            raise StoreError(message, hint="see `dsdeploy store verify`; then build it again") from error
        if found != artifact.sha256:
            raise StoreError(f"{path}: is damaged: its sha256 is {found}", hint=removal_hint(folder))
        return path

    def all(self) -> tuple[Artifact, ...]:
        """Return every wheel, newest first."""
        return tuple(read_entry(folder) for folder in sorted(self._entries(), key=age_of, reverse=True))

    def lock(self, key: BuildKey) -> AbstractContextManager[None]:
        """Hold the build of one key; a second process waits, told by whom."""
        path = self._locks / f"{_checked(key)}.lock"
        try:
            self._make_folders()
            path.touch(mode=0o600)
        except OSError as error:
            raise _unwritable(error) from error
        return hold(path, on_wait=self._on_wait)

    def remove(self, sha256: str) -> None:
        """Remove one wheel, by digest or unique prefix, damaged or not; raises StoreError when there is none."""
        with self._writing():
            folder = self._folder_of(sha256)
            if folder is None:
                raise StoreError(f"the store has no wheel {sha256}", hint="see `dsdeploy store list`")
            with make_draft(self._wheels) as draft:
                folder.rename(draft / folder.name)
            with suppress(OSError):
                folder.parent.rmdir()

    def verify(self) -> tuple[Finding, ...]:
        """Read every byte and return all that is wrong; leftovers of killed processes are removed and told."""
        with self._writing() as leftovers:
            checked = [(folder, check_entry(folder)) for folder in sorted(self._entries())]
        removed = [Finding(path=path, problem="was left by a process that was killed; removed") for path in leftovers]
        damaged = [
            Finding(path=folder, problem=problem, hint=removal_hint(folder)) for folder, problem in checked if problem
        ]
        return (*removed, *damaged)

    @property
    def size_bytes(self) -> int:
        """How many bytes all wheels take."""
        return sum(path.stat().st_size for folder in self._entries() for path in folder.iterdir())

    def _entries(self) -> Iterator[Path]:
        for key in _folders_in(self._wheels):
            yield from _entries_in(key)

    def _folder_of(self, sha256: str) -> Path | None:
        if not SHA256_PREFIX.fullmatch(sha256):
            raise StoreError(
                f"{sha256!r} does not name a wheel", hint="give at least 6 digits of a sha256: `dsdeploy store list`"
            )
        found = [folder for folder in self._entries() if folder.name.startswith(sha256)]
        if len(found) > 1:
            digests = ", ".join(folder.name[:16] for folder in found)
            raise StoreError(f"{sha256} names {len(found)} wheels: {digests}", hint="give more digits")
        return found[0] if found else None

    @contextmanager
    def _writing(self) -> Iterator[tuple[Path, ...]]:
        """Be the only writer; yields what dead writers left, already removed and told."""
        try:
            self._make_folders()
            with take_turns(self._wheels, self._locks / ".writer.lock", on_wait=self._on_wait) as leftovers:
                for leftover in leftovers:
                    self._on_note(f"removed {leftover}, left by a process that was killed")
                yield leftovers
        except OSError as error:
            raise _unwritable(error) from error

    def _make_folders(self) -> None:
        for folder in (self._wheels, self._locks):
            make_private(folder)


def _folders_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _entries_in(folder: Path) -> Iterator[Path]:
    return (child for child in _folders_in(folder) if SHA256.fullmatch(child.name))


def _unwritable(error: OSError) -> StoreError:
    return StoreError(
        f"the store could not be changed: {error.filename}: {error.strerror}",
        hint="see that there is space and that the folder is yours; what was stored before is untouched",
    )


def _checked(key: BuildKey) -> str:
    """Return the key as a folder's name; it may come from a foreign wheel's manifest."""
    if not BUILD_KEY.fullmatch(key):
        raise StoreError(f"{key!r} is no build key")
    return key
