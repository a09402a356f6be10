"""A disk that lets the program die at its n-th change, and folders that look like an interpreter's."""

from __future__ import annotations

import hashlib
import stat
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.agent.disk import Disk

Tree = dict[str, tuple[Any, ...]]
CHANGES = tuple(name for name in vars(Disk) if not name.startswith("_"))


class Crashed(BaseException):
    """The program is dead; nothing catches it."""


class CrashingDisk(Disk):
    """Dies in place of its n-th change; `changes` counts those that happened."""

    def __init__(self, crash_at: int | None = None) -> None:
        self.changes = 0
        self._crash_at = crash_at

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGES:
            if self.changes == self._crash_at:
                raise Crashed
            self.changes += 1
        return super().__getattribute__(name)

    def _sync(self, descriptor: int) -> None:
        """Spare the real disk: what was written before a program died is there without it."""


def tree(*folders: Path) -> Tree:
    """Return everything below folders: bytes, modes, and when files were written."""
    found: Tree = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        there = path.lstat()
        mode = stat.S_IMODE(there.st_mode)
        if path.is_symlink():
            found[str(path)] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[str(path)] = ("folder", mode)
        else:
            found[str(path)] = ("file", mode, there.st_mtime_ns, path.read_bytes())
    return found


def install(site: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    """Write a distribution with its RECORD, as an installer does; names may climb: `../bin/x`."""
    metadata = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{metadata}/METADATA": f"Name: {name}\nVersion: {version}\n",
        f"{metadata}/INSTALLER": "test\n",
    }
    rows = []
    for path, text in contents.items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)
        digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f'"{path}",sha256={digest},{len(text.encode())}')
    (site / metadata / "RECORD").write_text("\n".join([*rows, f"{metadata}/RECORD,,", ""]))
