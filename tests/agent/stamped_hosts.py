"""A host on which a tiny DeepSpeed was committed, laid out by hand: no agent, no pip, no interpreter."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tiny_wheels import DEEPSPEED, TORCH, record_line

VERSION = "1.2.3+cpu"
GPUS = ["NVIDIA H100 80GB HBM3"] * 2


class StampedHost:
    """Its cache is `folder/dsdeploy`, its environment `folder/venv`; `stamp` and `ledger` are written by `commit`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "dsdeploy"
        self.prefix = folder / "venv"
        self.site = self.prefix / "lib" / "python3.11" / "site-packages"
        self.record = self.site / f"deepspeed-{VERSION}.dist-info" / "RECORD"
        for name, text in {**TORCH, **DEEPSPEED}.items():
            self.write(name, text)
        lines = [record_line(name, text.encode()) for name, text in DEEPSPEED.items()]
        compiled = "deepspeed/__pycache__/__init__.cpython-311.pyc,,"
        self.write(str(self.record.relative_to(self.site)), "\n".join([*lines, compiled, ""]))
        self.stamp: dict[str, Any] = {
            "schema": "dsdeploy.stamp/1",
            "deployment": "20260102T030405Z-abc",
            "prefix": str(self.prefix),
            "build_key": "k",
            "wheel_sha256": "a" * 64,
            "version": VERSION,
            "record_sha256": hashlib.sha256(self.record.read_bytes()).hexdigest(),
            "torch_version": "2.13.0+cpu",
            "committed_at": "2026-01-02T03:04:05+00:00",
            "committed_by": "u@ctl",
            "gpus": [],
            "driver": None,
            "torch_file": str(self.site / "torch" / "version.py"),
            "replaced": None,
        }

    def write(self, name: str, text: str) -> None:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, **changes: Any) -> StampedHost:
        """Write the ledger, as commit does it."""
        ledger = {
            "schema": "dsdeploy.ledger/1",
            "hostname": os.uname().nodename,
            "prefix": str(self.prefix),
            "stamp": self.stamp,
            "pending": None,
            "kept": [],
            **changes,
        }
        key = hashlib.sha256(f"{os.uname().nodename}\0{self.prefix}".encode()).hexdigest()[:32]
        path = self.cache / "deployments" / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(ledger))
        return self

    def has_gpus(self, driver: str = "550.54.15", count: int = 2) -> Path:
        """Lay out what NVIDIA's driver says of itself in /proc; return the folder."""
        folder = self.folder / "nvidia"
        for number in range(count):
            (folder / "gpus" / f"0000:0{number}:00.0").mkdir(parents=True)
        text = (
            f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Tue Mar  5 22:23:56 UTC 2024\nGCC version: 12\n"
        )
        (folder / "version").write_text(text)
        return folder
