"""Keep one set of toolkit wheels unpacked, and forget the sets that were not used for long.

    PYTHON unpack_wheels.py [WHEEL ...]

Runs in the folder of the set, which lies among those of other sets. Whole files wait in `wheels/`; `tree/` is there
whole or not at all, and once it is there the files are not needed. The last line told is the result as JSON: the
folders under `tree/nvidia/`, the one with nvcc first; none when there is no `tree/` and no WHEEL is named.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path

KEPT = 3
"""How many sets stay however old they are."""
IN_USE_S = 24 * 3600.0
"""A build may still read a set that was asked for within this time."""


def main() -> None:
    """Unpack unless that was done before, and tell the folders."""
    folder, names = Path.cwd(), sys.argv[1:]
    tree = folder / "tree"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel frees it, however this ends
        os.utime(str(folder))
        if names and not tree.is_dir():
            unpack([folder / "wheels" / name for name in names], tree)
        for name in names:  # nothing else there: another build may be sending just now
            (folder / "wheels" / name).unlink(missing_ok=True)
    forget_old(folder.parent)
    sys.stdout.write(f"dsdeploy-result {json.dumps([str(root) for root in roots_of(tree)])}\n")


def unpack(wheels: list[Path], tree: Path) -> None:
    """Unpack all wheels into one folder, which gets its name when it is whole."""
    for left_over in tree.parent.glob("part-*"):
        shutil.rmtree(str(left_over))
    part = Path(tempfile.mkdtemp(prefix="part-", dir=str(tree.parent)))
    for wheel in wheels:
        with zipfile.ZipFile(str(wheel)) as archive:
            for member in archive.infolist():
                path = archive.extract(member, str(part))
                if member.external_attr >> 16 & 0o111 and not member.is_dir():
                    Path(path).chmod(0o700)
    if not any(has_nvcc(root) for root in roots_of(part)):
        sys.exit(f"no nvcc in {', '.join(wheel.name for wheel in wheels)}: NVIDIA's wheels have it from CUDA 13 on")
    part.rename(tree)


def roots_of(tree: Path) -> list[Path]:
    """Return where the wheels put their `bin`, `include` and `lib`: `nvidia/cu13`, or one folder for each part."""
    roots = [folder for folder in tree.glob("nvidia/*") if folder.is_dir()]
    return sorted(roots, key=lambda root: (not has_nvcc(root), root.name))


def has_nvcc(root: Path) -> bool:
    """Say whether the compiler lies in this folder."""
    return (root / "bin" / "nvcc").is_file()


def forget_old(sets: Path) -> None:
    """Remove all sets but the newest ones and those that may be in use; one that goes loses its name first."""
    for folder in sorted(filter(Path.is_dir, sets.iterdir()), key=used_at, reverse=True)[KEPT:]:
        if time.time() - used_at(folder) > IN_USE_S:
            gone = folder.with_name(f"gone-{os.urandom(8).hex()}")
            with contextlib.suppress(FileNotFoundError):  # another build has removed it
                folder.rename(gone)
            shutil.rmtree(str(gone), ignore_errors=True)


def used_at(folder: Path) -> float:
    """Return when a set was last asked for, in seconds since 1970; 0 for one that is gone."""
    return folder.stat().st_mtime if folder.exists() else 0.0


if __name__ == "__main__":
    main()
