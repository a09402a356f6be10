"""One stored wheel: a folder that holds the file and the record of what it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.model.codec import DocumentError, from_document, to_document
from orchestrator.model.wheels import Artifact, Manifest
from orchestrator.store.drafts import sync
from orchestrator.store.wheel_files import read_artifact

RECORD_NAME = "artifact.json"


def write_entry(folder: Path, wheel: Path, manifest: Manifest) -> Artifact:
    """Copy a wheel into an empty folder, write its record, and see both on disk.

    The record keeps the manifest as given, with its compile times. Raises StoreError when the manifest inside the
    wheel says something else.
    """
    copy = folder / wheel.name
    shutil.copyfile(wheel, copy)
    found = read_artifact(copy)
    if found.manifest != _as_inside(manifest):
        raise StoreError(
            f"{wheel}: the manifest inside is not the one it was given with",
            hint="a wheel is stored as it was assembled: build it again",
        )
    artifact = replace(found, manifest=manifest)
    record = folder / RECORD_NAME
    record.write_text(json.dumps(to_document(artifact), indent=1), encoding="utf-8")
    for path in (copy, record, folder):
        sync(path)
    return artifact


def read_entry(folder: Path) -> Artifact:
    """Return what a stored wheel is, from its record; raises StoreError when that cannot be read."""
    record = folder / RECORD_NAME
    try:
        return from_document(Artifact, json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, DocumentError) as error:
        raise StoreError(f"{record}: cannot be read: {error}", hint=removal_hint(folder)) from error


def check_entry(folder: Path) -> str | None:
    """Return what is wrong with a stored wheel, every byte of it read; None when it is whole."""
    try:
        stored = read_entry(folder)
        found = read_artifact(folder / stored.filename)
    except StoreError as error:
        return error.message
    if not found.sha256 == stored.sha256 == folder.name:
        return f"{folder / stored.filename}: its sha256 is {found.sha256}"
    if found.manifest != _as_inside(stored.manifest):
        return f"{folder / RECORD_NAME}: differs from the manifest inside the wheel"
    return None


def age_of(folder: Path) -> int:
    """Return when a wheel was stored, as a number that only compares; 0 for one whose record is lost."""
    record = folder / RECORD_NAME
    return record.stat().st_mtime_ns if record.exists() else 0


def removal_hint(folder: Path) -> str:
    """Return how to get rid of a damaged wheel."""
    return f"remove it with `dsdeploy store remove {folder.name[:12]}`, then build it again"


def _as_inside(manifest: Manifest) -> Manifest:
    """Return the manifest as the wheel holds it: without compile times, which differ from build to build."""
    return replace(manifest, ops=tuple(replace(op, compile_s=None) for op in manifest.ops))
