"""Makes a plan install where nothing would have to change."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.plan import DeployPlan, HostVerdict


def install_again(plan: DeployPlan) -> DeployPlan:
    """Return the plan with every host installed that it would have kept."""
    rows = (
        replace(row, verdict=HostVerdict.INSTALL, reason="forced") if row.verdict is HostVerdict.KEEP else row
        for row in plan.hosts
    )
    return replace(plan, hosts=tuple(rows))
