"""What the commands that plan and deploy have in common: parse, call, render."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType

from orchestrator.cli.options import Building, Output, Targets
from orchestrator.cli.render import read_document, show
from orchestrator.cli.wiring import Run, make_identity
from orchestrator.config.ops import load_op_catalogue
from orchestrator.errors import ExitCode, PlanError, UsageError
from orchestrator.model.codec import DocumentError, from_document
from orchestrator.model.deployment import DeploymentResult
from orchestrator.model.outcome import Outcome, fold_failures, worst_exit_code
from orchestrator.model.plan import PLAN_SCHEMA, DeployPlan, WheelVerdict
from orchestrator.planning.deployment import check_plan_still_fits
from orchestrator.planning.given_wheel import plan_given_wheel
from orchestrator.report.documents import provision_document
from orchestrator.report.tables.deployment import deployment_summary
from orchestrator.report.tables.failures import failures_block
from orchestrator.report.tables.matrix import matrix_table
from orchestrator.report.tables.plan import plan_sum, plan_table
from orchestrator.stages.build import BuildTask
from orchestrator.stages.plan import Planned, PlanTask, plan_deployment
from orchestrator.stages.provision import provision, rejections
from orchestrator.store.wheel_files import read_artifact


def make_planned(run: Run, targets: Targets, building: Building) -> Planned:
    """Probe the hosts and plan for them."""
    task = PlanTask(
        hosts=run.hosts,
        recipe=run.recipe(building),
        specs=load_op_catalogue(),
        controller=run.controller_facts,
        builder=building.builder,
        python=targets.python,
        force=building.force,
    )
    with run.progress:
        return plan_deployment(task, fleet=run.fleet, store=run.store, reporter=run.progress)


def load_planned(path: Path, run: Run, targets: Targets) -> Planned:
    """Return a saved plan with the hosts' facts of now. Raises PlanError when they changed."""
    try:
        plan = from_document(DeployPlan, read_document(path, schema=PLAN_SCHEMA))
    except DocumentError as error:
        raise UsageError(f"{path}: {error}", hint="write a new plan: dsdeploy plan --out FILE") from error
    outcomes = run.probe(targets.python or plan.recipe.python)
    check_plan_still_fits(plan, outcomes.values())
    return Planned(plan=plan, outcomes=outcomes)


def plan_wheel_file(path: Path, run: Run, targets: Targets, building: Building) -> Planned:
    """Take a wheel file into the store and plan to bring it to every host."""
    artifact = run.store.add(path, read_artifact(path).manifest)
    outcomes = run.probe(targets.python)
    failures = {item.host: item.failure for item in outcomes.failed if item.failure}
    hosts = [host.name for host in run.hosts]
    plan = plan_given_wheel(artifact, hosts, outcomes.values(), failures, force=building.force)
    return Planned(plan=plan, outcomes=outcomes)


def refuse_builds(plan: DeployPlan) -> None:
    """Raise PlanError when a wheel of the plan does not exist yet."""
    missing = [wheel.signature.label for wheel in plan.wheels if wheel.verdict is WheelVerdict.BUILD]
    if missing:
        raise PlanError(
            f"no wheel is built yet for {', '.join(missing)}",
            hint="dsdeploy build makes it; dsdeploy provision builds and pushes",
        )


def make_task(run: Run, planned: Planned, building: Building) -> BuildTask:
    """Return what is to be built for a plan."""
    return BuildTask(
        plan=planned.plan,
        facts=planned.outcomes.values(),
        controller=run.controller_facts,
        pythons=run.pythons(planned.plan.recipe),
        specs=load_op_catalogue(),
        jobs=building.jobs,
    )


def deploy_plan(run: Run, planned: Planned, building: Building, output: Output, *, is_confirmed: bool) -> ExitCode:
    """Carry out a plan, after asking when somebody is there to ask, and tell what came of it."""
    started = time.monotonic()
    plan = planned.plan
    if not (is_confirmed or plan.is_empty):
        _confirm(plan)
    task = make_task(run, planned, building)
    with run.progress:
        result = provision(make_identity(), task, build_ports=run.build_ports, deploy_ports=run.deploy_ports)
    elapsed_s = time.monotonic() - started
    show(provision_document(plan, result, elapsed_s), lambda: _drawn(plan, result, elapsed_s), output)
    return tell_failures((*rejections(planned), *result.failures))


def tell_failures(failures: Sequence[Outcome[object]]) -> ExitCode:
    """Print what failed on standard error, equal failures once, and return the exit code that they ask for."""
    if failures:
        Console(stderr=True).print(failures_block(fold_failures(failures)), soft_wrap=True)
    return worst_exit_code(outcome.failure for outcome in failures if outcome.failure)


def _drawn(plan: DeployPlan, result: DeploymentResult, elapsed_s: float) -> RenderableType:
    summary = deployment_summary(plan, result, elapsed_s)
    return Group(matrix_table(result.verifications), "", summary) if result.verifications else summary


def _confirm(plan: DeployPlan) -> None:
    """Show the plan and ask; without a terminal nothing is assumed. Raises UsageError when the answer is no."""
    if not sys.stdin.isatty():
        raise UsageError(f"this would change hosts: {plan_sum(plan)}", hint="say --yes to go on without a question")
    console = Console(stderr=True)
    console.print(plan_table(plan))
    if console.input("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed", hint="dsdeploy plan shows the plan again")
