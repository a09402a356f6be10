"""Deployments as a journal has them, and stamps as hosts have them."""

from __future__ import annotations

from typing import Any

from orchestrator.model.deployment import HostEnd, Stamp
from orchestrator.model.history import DeploymentKind, DeploymentRecord, HostRecord

FIRST = "20260101T120000Z-aaaaaa"
SECOND = "20260102T120000Z-bbbbbb"
Ends = tuple[HostEnd | None, ...]
HOSTS = ("worker-0", "worker-1", "worker-2")


def make_record(deployment: str = FIRST, *, ends: Ends = (None,) * 3, **changes: Any) -> DeploymentRecord:
    """A deployment to a worker for each end: three, and not ended, unless said otherwise."""
    fields = {
        "id": deployment,
        "kind": DeploymentKind.INSTALL,
        "started_at": f"{deployment[:4]}-{deployment[4:6]}-{deployment[6:8]}T12:00:00+00:00",
        "author": "ml@ctl",
        "recipe": "cpu-training",
        "ended_at": "2026-01-03T12:01:00+00:00" if any(ends) else None,
        "hosts": tuple(
            HostRecord(host=f"worker-{number}", end=end, version="0.19.8+cpu", before="0.19.7", wheel_sha256="ab" * 32)
            for number, end in enumerate(ends)
        ),
    }
    return DeploymentRecord(**(fields | changes))


def make_stamp(deployment: str = FIRST, **changes: Any) -> Stamp:
    """What a host remembers of a deployment."""
    fields = {
        "deployment": deployment,
        "prefix": "/opt/venv",
        "build_key": "k" * 32,
        "wheel_sha256": "ab" * 32,
        "version": "0.19.8+cpu",
        "record_sha256": "cd" * 32,
        "torch_version": "2.13.0+cpu",
        "committed_at": "2026-01-01T12:05:00+00:00",
        "committed_by": "ml@ctl",
        "replaced": "0.19.7",
    }
    return Stamp(**(fields | changes))
