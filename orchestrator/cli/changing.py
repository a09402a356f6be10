"""Through what every command that changes hosts acts."""

from __future__ import annotations

import time

from orchestrator.cli.identity import utc_now
from orchestrator.cli.wiring import Run
from orchestrator.stages.change import ChangePorts


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
