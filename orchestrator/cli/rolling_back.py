"""Plan a rollback and carry it out: ask the hosts, ask the user, act, answer."""

from __future__ import annotations

from dataclasses import replace

from rich.console import RenderableType

from orchestrator.cli.answer import Answer
from orchestrator.cli.changing import make_change_ports
from orchestrator.cli.confirming import confirm
from orchestrator.cli.identity import make_identity
from orchestrator.cli.wiring import Run
from orchestrator.model.deployment import DeploymentResult, Policy
from orchestrator.model.history import RollbackPlan
from orchestrator.report.documents import rollback_document
from orchestrator.report.page import stacked
from orchestrator.report.tables.matrix import matrix_table
from orchestrator.report.tables.rollback import rollback_sum, rollback_summary, rollback_table
from orchestrator.stages.rollback import RollbackTask, plan_rollback, roll_back


def roll_hosts_back(run: Run, policy: Policy, *, to: str | None, is_confirmed: bool) -> Answer:
    """Bring the hosts back, after asking when somebody is there to ask."""
    planned = plan_rollback(run.probe(run.hosts, recipe_python=None), run.journal, to=to)
    plan, identity = planned.plan, make_identity()
    result = DeploymentResult(deployment=identity.id)
    if plan.has_work:
        if not is_confirmed:
            confirm(rollback_table(plan), rollback_sum(plan), again="dsdeploy rollback shows the plan again")
        task = RollbackTask(identity=identity, planned=planned, pythons=run.pythons(recipe_python=None), policy=policy)
        with run.progress:
            result = roll_back(task, make_change_ports(run))
    elapsed_s = run.elapsed_s
    told = replace(result, failures=(*planned.rejections, *result.failures))
    return Answer(
        document=lambda: rollback_document(plan, told, elapsed_s),
        draw=lambda: _drawn(plan, result, elapsed_s),
        failures=told.failures,
        decided=told.exit_code,
    )


def _drawn(plan: RollbackPlan, result: DeploymentResult, elapsed_s: float) -> RenderableType:
    verified = matrix_table(result.verifications) if result.verifications else None
    return stacked(rollback_table(plan), verified, rollback_summary(plan, result, elapsed_s))
