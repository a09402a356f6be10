"""Reads what a wheel file says it is, after proof that the file is whole."""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from pathlib import Path
from zipfile import BadZipFile

from wheel.wheelfile import WheelError, WheelFile

from orchestrator.errors import StoreError
from orchestrator.model.codec import DocumentError, from_document
from orchestrator.model.wheels import MANIFEST_NAME, MANIFEST_SCHEMA, Artifact, Manifest, Sha256

PIECE_BYTES = 1 << 20


def read_artifact(path: Path) -> Artifact:
    """Return what a wheel that dsdeploy built says it is.

    Every file in it is checked against its RECORD. Raises StoreError when the file is no wheel, is damaged, or has
    no manifest of ours.
    """
    try:
        with WheelFile(path) as wheel:
            _check_record(wheel)
            manifest = _read_manifest(wheel, path)
        return Artifact(
            sha256=digest_of_file(path),
            filename=path.name,
            size_bytes=path.stat().st_size,
            manifest=manifest,
        )
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (WheelError, BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise StoreError(f"{path} is not a whole wheel: {error}", hint="build or copy it again") from error


def digest_of_file(path: Path) -> Sha256:
    """Return the sha256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return Sha256(digest.hexdigest())


def _check_record(wheel: WheelFile) -> None:
    """Read every member, which compares it with RECORD, and see that RECORD names nothing else (PEP 427)."""
    for name in wheel.namelist():
        with wheel.open(name) as member:
            while member.read(PIECE_BYTES):
                pass
    record = wheel.read(wheel.record_path).decode()
    lost = {row[0] for row in csv.reader(record.splitlines()) if row} - set(wheel.namelist())
    if lost:
        raise WheelError(f"RECORD names {min(lost)}, which is not in it")


def _read_manifest(wheel: WheelFile, path: Path) -> Manifest:
    name = f"{wheel.dist_info_path}/{MANIFEST_NAME}"
    if name not in wheel.namelist():
        raise StoreError(
            f"{path}: has no {MANIFEST_NAME}: it was not built by dsdeploy",
            hint="build one with `dsdeploy build`; a wheel without a manifest cannot be matched with hosts",
        )
    document = json.loads(wheel.read(name))
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != MANIFEST_SCHEMA:
        raise StoreError(
            f"{path}: its manifest is of schema {schema!r}; this dsdeploy reads {MANIFEST_SCHEMA!r}",
            hint="build it again, or use the dsdeploy that built it",
        )
    try:
        return from_document(Manifest, document)
    except DocumentError as error:
        raise StoreError(f"{path}: its manifest is damaged: {error}", hint="build it again") from error
