"""What every command that changes hosts needs: who does it, when, and through what."""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from datetime import datetime, timezone

from orchestrator.cli.wiring import Run
from orchestrator.model.deployment import DeploymentIdentity
from orchestrator.stages.change import ChangePorts


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


def make_change_ports(run: Run) -> ChangePorts:
    """Return what a change acts through."""
    return ChangePorts(
        fleet=run.fleet,
        reopen=run.reopen_fleet,
        carrier=run.carrier,
        journal=run.journal,
        reporter=run.progress,
        now=utc_now,
        pause=time.sleep,
    )
