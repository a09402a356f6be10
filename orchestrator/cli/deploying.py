"""Carry out a plan for `provision` and `push`: ask, act, answer."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Group, RenderableType

from orchestrator.cli.answer import Answer
from orchestrator.cli.confirming import confirm
from orchestrator.cli.identity import make_identity
from orchestrator.cli.options import Building
from orchestrator.cli.wiring import Run
from orchestrator.model.deployment import DeploymentResult, Policy
from orchestrator.model.plan import DeployPlan
from orchestrator.planning.deployment import check_nothing_is_refused
from orchestrator.report.documents import provision_document
from orchestrator.report.tables.deployment import deployment_summary
from orchestrator.report.tables.matrix import matrix_table
from orchestrator.report.tables.plan import plan_sum, plan_table
from orchestrator.stages.plan import Planned


def deploy(run: Run, planned: Planned, building: Building, policy: Policy, *, is_confirmed: bool) -> Answer:
    """Carry out a plan that has work, after asking when somebody is there to ask."""
    plan, identity = planned.plan, make_identity()
    result = DeploymentResult(deployment=identity.id)
    if plan.has_work:
        if not is_confirmed:
            check_nothing_is_refused(plan.wheels)
            confirm(plan_table(plan), plan_sum(plan), again="dsdeploy plan shows the plan again")
        from orchestrator.cli.carrying_out import carry_out  # half of what a run imports: not for a run without work

        result = carry_out(run, planned, building, identity, policy)
    elapsed_s = run.elapsed_s
    told = replace(result, failures=(*planned.rejections, *result.failures))
    return Answer(
        document=lambda: provision_document(plan, told, elapsed_s),
        draw=lambda: _drawn(plan, result, elapsed_s),
        failures=told.failures,
        decided=told.exit_code,
    )


def _drawn(plan: DeployPlan, result: DeploymentResult, elapsed_s: float) -> RenderableType:
    summary = deployment_summary(plan, result, elapsed_s)
    return Group(matrix_table(result.verifications), "", summary) if result.verifications else summary
