"""Who deploys, and when."""

from __future__ import annotations

import getpass
import secrets
import socket
from datetime import datetime, timezone

from orchestrator.model.deployment import DeploymentIdentity


def make_identity() -> DeploymentIdentity:
    """Return who deploys, and when: now."""
    now = datetime.now(timezone.utc)
    return DeploymentIdentity(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(timespec="seconds"),
        author=f"{getpass.getuser()}@{socket.gethostname()}",
    )


def utc_now() -> str:
    """Return the time: UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
