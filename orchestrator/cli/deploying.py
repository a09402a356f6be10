"""Carry out a plan for `provision` and `push`: ask, act, answer."""

from __future__ import annotations

import getpass
import secrets
import socket
import sys
from dataclasses import replace
from datetime import datetime, timezone

from rich.console import Group, RenderableType

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building
from orchestrator.cli.wiring import Run
from orchestrator.errors import UsageError
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult
from orchestrator.model.plan import DeployPlan
from orchestrator.planning.deployment import check_nothing_is_refused
from orchestrator.report.console import ErrorConsole
from orchestrator.report.documents import provision_document
from orchestrator.report.tables.deployment import deployment_summary
from orchestrator.report.tables.matrix import matrix_table
from orchestrator.report.tables.plan import plan_sum, plan_table
from orchestrator.stages.plan import Planned


def deploy(run: Run, planned: Planned, building: Building, *, is_confirmed: bool) -> Answer:
    """Carry out a plan that has work, after asking when somebody is there to ask."""
    plan, identity = planned.plan, _make_identity()
    result = DeploymentResult(deployment=identity.id)
    if plan.has_work:
        if not is_confirmed:
            _confirm(plan)
        from orchestrator.cli.carrying_out import carry_out  # half of what a run imports: not for a run without work

        result = carry_out(run, planned, building, identity)
    elapsed_s = run.elapsed_s
    failures = (*planned.rejections, *result.failures)
    return Answer(
        document=lambda: provision_document(plan, replace(result, failures=failures), elapsed_s),
        draw=lambda: _drawn(plan, result, elapsed_s),
        failures=failures,
    )


def _drawn(plan: DeployPlan, result: DeploymentResult, elapsed_s: float) -> RenderableType:
    summary = deployment_summary(plan, result, elapsed_s)
    return Group(matrix_table(result.verifications), "", summary) if result.verifications else summary


def _confirm(plan: DeployPlan) -> None:
    """Show the plan and ask; without a terminal nothing is assumed. Raises UsageError when the answer is no."""
    check_nothing_is_refused(plan.wheels)
    if not sys.stdin.isatty():
        raise UsageError(f"this would change hosts: {plan_sum(plan)}", hint="say --yes to go on without a question")
    console = ErrorConsole()
    console.print(plan_table(plan))
    try:
        word = console.input("Go on? [y/N] ")
    except EOFError:
        word = ""
    if word.strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed", hint="dsdeploy plan shows the plan again")


def _make_identity() -> DeploymentIdentity:
    """Return who deploys, and when: now."""
    now = datetime.now(timezone.utc)
    return DeploymentIdentity(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(timespec="seconds"),
        author=f"{getpass.getuser()}@{socket.gethostname()}",
    )
