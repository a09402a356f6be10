"""Reads what any wheel of compiled code contains: a DeepSpeed, ours or not, or another extension of torch."""

from __future__ import annotations

import ast
import csv
import json
import re
import zlib
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from zipfile import BadZipFile

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from wheel.wheelfile import WheelError, WheelFile

from orchestrator.audit.shared_objects import read_shared_object
from orchestrator.errors import StoreError
from orchestrator.model.audit import SharedObject, WheelContents
from orchestrator.model.codec import DocumentError, from_document
from orchestrator.model.wheels import MANIFEST_NAME, MANIFEST_SCHEMA, Manifest

BUILD_RECORD = "deepspeed/git_version_info_installed.py"
"""Written by DeepSpeed's setup.py (0.8 to 0.19): plain assignments of literals; a built op may be `1` or `True`."""
_LIBRARY = re.compile(r".*\.so(?:\.\d+)*")


def read_wheel(path: Path) -> WheelContents:
    """Read a wheel, all of it checked against its RECORD.

    Raises StoreError when the file is no wheel or is damaged.
    """
    try:
        return _read(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (WheelError, InvalidWheelFilename, BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise StoreError(f"{path} is not a whole wheel: {error}", hint="build or copy it again") from error


def _read(path: Path) -> WheelContents:
    name, version, _build, tags = parse_wheel_filename(path.name)
    shared_objects, texts = {}, {}
    with WheelFile(path) as wheel:
        for member in wheel.namelist():
            content = wheel.read(member)
            if _LIBRARY.fullmatch(member):
                shared_objects[member] = _shared_object(member, content)
            elif member == BUILD_RECORD or member.startswith(f"{wheel.dist_info_path}/"):
                texts[Path(member).name] = content
        _check_nothing_is_lost(texts["RECORD"], wheel.namelist())
    metadata = BytesParser().parsebytes(texts.get("METADATA", b""), headersonly=True)
    record = _assignments(texts.get(Path(BUILD_RECORD).name, b""))
    return WheelContents(
        filename=path.name,
        size_bytes=path.stat().st_size,
        name=name,
        version=str(version),
        tags=tuple(sorted(str(tag) for tag in tags)),
        requires=_values(metadata, "Requires-Dist"),
        requires_python=next(iter(_values(metadata, "Requires-Python")), None),
        shared_objects=shared_objects,
        installed_ops={op: bool(value) for op, value in _entries(record, "installed_ops").items()},
        accelerator=str(record.get("accelerator_name") or "") or None,
        torch={key: value for key, value in _entries(record, "torch_info").items() if isinstance(value, str)},
        manifest=_manifest(texts.get(MANIFEST_NAME)),
    )


def _shared_object(member: str, content: bytes) -> SharedObject:
    try:
        return read_shared_object(content)
    except ValueError as error:
        raise ValueError(f"{member}: {error}") from error


def _check_nothing_is_lost(record: bytes, members: list[str]) -> None:
    lost = {row[0] for row in csv.reader(record.decode().splitlines()) if row} - set(members)
    if lost:
        raise WheelError(f"RECORD names {min(lost)}, which is not in it")


def _values(metadata: Message, header: str) -> tuple[str, ...]:
    return tuple(str(value) for value in metadata.get_all(header, ()))


def _assignments(source: bytes) -> dict[str, object]:
    """Return the `name=literal` lines of a module without running it."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _entries(record: dict[str, object], name: str) -> dict[str, object]:
    """Return a recorded dict; empty when there is none."""
    entries = record.get(name)
    return {str(key): value for key, value in entries.items()} if isinstance(entries, dict) else {}


def _manifest(text: bytes | None) -> Manifest | None:
    document = json.loads(text) if text else None
    if not isinstance(document, dict) or document.get("schema") != MANIFEST_SCHEMA:
        return None
    try:
        return from_document(Manifest, document)
    except DocumentError:
        return None
