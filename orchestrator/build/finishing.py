"""Makes the wheel that setup.py left a finished one: manifest inside, torch pinned, equal bytes for equal contents."""

from __future__ import annotations

import csv
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from packaging.requirements import Requirement
from wheel.wheelfile import WheelFile

from orchestrator.build.version import torch_minor
from orchestrator.model.codec import canonical_json
from orchestrator.model.wheels import MANIFEST_NAME, Manifest

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip file knows."""


def finish_wheel(draft: Path, folder: Path, manifest: Manifest, *, needs: Sequence[str] = ()) -> Path:
    """Write the finished wheel into a new `folder`, under the draft's name, and return its path.

    `needs` are requirements (PEP 508) of its ops on hosts.
    """
    with WheelFile(draft) as source:
        metadata, record = f"{source.dist_info_path}/METADATA", source.record_path
        modes = {member.filename: member.external_attr for member in source.infolist() if not member.is_dir()}
        members = {name: source.read(name) for name in modes if name != record}
    pinned = pin_torch(members[metadata].decode(), manifest.signature.torch_version)
    members[metadata] = add_requirements(pinned, needs).encode()
    added = record.replace("RECORD", MANIFEST_NAME)
    members[added], modes[added] = canonical_json(manifest), modes[metadata]
    names = sorted(members, key=lambda name: (".dist-info/" in name, name))  # dist-info last, as PEP 427 recommends
    folder.mkdir()
    with ZipFile(folder / draft.name, "w") as target:
        for name in names:
            _add(target, name, members[name], modes[name])
        rows = [(name, _digest(members[name]), str(len(members[name]))) for name in names]
        _add(target, record, _record([*rows, (record, "", "")]), modes[record])
    return folder / draft.name


def pin_torch(metadata: str, torch_version: str) -> str:
    """Return the METADATA text with its unconditional requirement of torch narrowed to torch's minor version."""
    head, blank, description = metadata.partition("\n\n")
    kept = "\n".join(line for line in head.split("\n") if not _requires_torch(line))
    return add_requirements(f"{kept}{blank}{description}", [f"torch=={torch_minor(torch_version)}.*"])


def add_requirements(metadata: str, requirements: Sequence[str]) -> str:
    """Return the METADATA text with more requirements (PEP 508)."""
    lines = metadata.split("\n")
    end = lines.index("")  # the description follows
    added = [f"Requires-Dist: {requirement}" for requirement in requirements]
    return "\n".join([*lines[:end], *added, *lines[end:]])


def _requires_torch(line: str) -> bool:
    if not line.startswith("Requires-Dist:"):
        return False
    requirement = Requirement(line.partition(":")[2])
    return requirement.name == "torch" and requirement.marker is None


def _add(target: ZipFile, name: str, content: bytes, mode: int) -> None:
    """Add a member without a date of its own: `wheel` itself would date RECORD by the clock."""
    member = ZipInfo(name, date_time=_EPOCH)
    member.external_attr = mode
    target.writestr(member, content, ZIP_DEFLATED)


def _record(rows: Sequence[tuple[str, str, str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _digest(content: bytes) -> str:
    """Return the digest as RECORD has it (PEP 376, PEP 427)."""
    return "sha256=" + urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
