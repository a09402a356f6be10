"""Empty wheels that stand for what a host has installed, so that pip resolves around it and never fetches it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from packaging.utils import InvalidName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

NEVER_FETCHED = "torch"
"""Gigabytes, and the host's own choice."""
NEVER_CONSTRAINT = f"{NEVER_FETCHED}<0"


def normalised(installed: Mapping[str, str]) -> dict[str, str]:
    """Return name → version with names as PEP 503 compares them.

    What pip itself cannot read is left out: the `-umpy` of a broken removal, the `1.0-SNAPSHOT` of another ecosystem.
    """
    return {canonicalize_name(name): version for name, version in installed.items() if _is_readable(name, version)}


def write_constraints(folder: Path, installed: Mapping[str, str]) -> Path:
    """Make a stand-in for every installed distribution, and the constraints file that leads pip to them.

    A constraint with a URL replaces all that an index offers of that name (pip ≥ 21.1). Where torch is not installed
    it is made impossible.
    """
    lines = [f"{name} @ {_write_stand_in(folder, name, version).as_uri()}" for name, version in installed.items()]
    if NEVER_FETCHED not in installed:
        lines.append(NEVER_CONSTRAINT)
    path = folder / "constraints.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def name_of(wheel: str) -> str:
    """Return the normalised distribution name in a wheel's file name."""
    return parse_wheel_filename(wheel)[0]


def _write_stand_in(folder: Path, name: str, version: str) -> Path:
    stem = f"{name.replace('-', '_')}-{Version(version)}"
    path = folder / f"{stem}-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def _is_readable(name: str, version: str) -> bool:
    try:
        canonicalize_name(name, validate=True)
        Version(version)
    except (InvalidName, InvalidVersion):
        return False
    return True
