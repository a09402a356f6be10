"""What is on a host's disk: which of the two distributions, byte for byte, and what should not be there."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import posixpath
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from faultsbench.hosts import HostView, Ledger

_TOLD = 3
"""So many names are told of files that are not as they should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file or link of a virtual environment."""

    mode: int
    mtime_ns: int
    content: str
    """`sha256=…` as RECORD writes it; where a link leads; `empty` for a folder with nothing in it."""


Files = Mapping[str, File]
"""By path in the environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that is deployed."""

    path: Path
    sha256: str
    record: Mapping[str, str]
    """Path in the wheel → `sha256=…`, for files that go to site-packages as they are."""

    @property
    def version(self) -> str:
        """Its full version."""
        return self.path.name.split("-")[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What was read on one host."""

    version: str | None
    """DeepSpeed's, when all its files are there as RECORD and the wheel have them, and none else; None otherwise."""
    files: Files
    others: Files
    """Those of them that are not DeepSpeed's."""
    ledger: Ledger
    faults: tuple[str, ...] = ()
    """Why `version` is None."""
    leftovers: tuple[str, ...] = ()
    """What lies beside it and should not, once all is at rest."""


def read_wheel(path: Path) -> Wheel:
    """Return what a wheel file holds."""
    with zipfile.ZipFile(path) as members:
        (record,) = (name for name in members.namelist() if name.endswith(".dist-info/RECORD"))
        rows = csv.reader(members.read(record).decode().splitlines())
        files = {name: digest for name, digest, _ in rows if digest and ".data/" not in name}
    return Wheel(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), record=files)


def read_disk(view: HostView, wheels: Iterable[Wheel]) -> Disk:
    """Read all of a host's environment, and what the agent keeps beside it."""
    environment, site = view.environment, str(view.site_packages.relative_to(view.environment))
    files = dict(read_files(environment))
    installed = {path.parent.name: _read_record(path, site) for path in _records(view)}
    recorded = {name: digest for record in installed.values() for name, digest in record.items()}
    faults = [f"{name}: {fault}" for name, record in installed.items() for fault in _deviations(record, files)]
    own = f"{site}/deepspeed"
    faults += [f"not in RECORD: {name}" for name in files if name.startswith(own) and name not in recorded]
    found = [wheel for wheel in wheels if f"deepspeed-{wheel.version}.dist-info" in installed]
    for wheel in found:
        wanted = {f"{site}/{name}": digest for name, digest in wheel.record.items()}
        faults += [f"not as in the wheel: {name}" for name, digest in wanted.items() if recorded.get(name) != digest]
    if len(installed) != 1 or len(found) != 1:
        faults.append(f"these are installed: {', '.join(installed) or 'none'}")
    faults += [f"left by pip: {path.name}" for path in view.site_packages.glob("~*")]
    ledger = view.ledger()
    return Disk(
        version=found[0].version if not faults else None,
        files=files,
        others={name: file for name, file in files.items() if name not in recorded},
        ledger=ledger,
        faults=fold(faults),
        leftovers=tuple(find_leftovers(view, ledger)),
    )


def read_files(folder: Path) -> Iterator[tuple[str, File]]:
    """Yield every file below a folder with its digest, and folders in which there is nothing."""
    for parent, folders, names in os.walk(folder):
        above = Path(parent)
        if not folders and not names:
            yield str(above.relative_to(folder)), File(mode=above.stat().st_mode, mtime_ns=0, content="empty")
        links = [name for name in folders if (above / name).is_symlink()]
        for path in (above / name for name in (*names, *links)):
            status = path.lstat()
            content = str(path.readlink()) if path.is_symlink() else _digest(path)
            name = str(path.relative_to(folder))
            yield name, File(mode=status.st_mode, mtime_ns=status.st_mtime_ns, content=content)


def _digest(path: Path) -> str:
    """Return a file's digest as RECORD writes it (PEP 376, PEP 427)."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _records(view: HostView) -> list[Path]:
    return sorted(view.site_packages.glob("deepspeed-*.dist-info/RECORD"))


def _read_record(path: Path, site: str) -> dict[str, str]:
    """Return what RECORD names: path in the environment → digest, empty where RECORD has none."""
    with path.open(encoding="utf-8", newline="") as rows:
        return {posixpath.normpath(f"{site}/{name}"): digest for name, digest, _ in csv.reader(rows)}


def _deviations(record: Mapping[str, str], files: Files) -> Iterator[str]:
    for name, digest in record.items():
        if name not in files:
            yield f"missing: {name}"
        elif digest and files[name].content != digest:
            yield f"not as in RECORD: {name}"


def find_leftovers(view: HostView, ledger: Ledger) -> Iterator[str]:
    """Yield what an installation may leave beside the environment, and should not."""
    cache = view.cache
    for path in (*cache.glob("work/*"), *cache.rglob("*.part"), *view.path("/run/disk/upper/tmp").glob("pip-*")):
        yield f"left over: {path.name}"
    for path in cache.glob("previous/*"):
        if path.name not in ledger.kept and ledger.state is None:
            yield f"left over: previous/{path.name}"


def differences(before: Files, after: Files) -> list[str]:
    """Return what is not as it was: missing, too much, or another content, mode or time."""
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return [_difference(name, before.get(name), after.get(name)) for name in names]


def _difference(name: str, before: File | None, after: File | None) -> str:
    if before is None or after is None:
        return f"{'too much' if before is None else 'missing'}: {name}"
    fields = [field for field in ("content", "mode", "mtime_ns") if getattr(before, field) != getattr(after, field)]
    return f"another {' and '.join(fields)}: {name}"


def fold(faults: list[str]) -> tuple[str, ...]:
    """Return the first faults, and how many more there are."""
    return (*faults[:_TOLD], *([f"and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []))
