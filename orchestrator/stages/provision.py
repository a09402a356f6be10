"""Carry out a whole plan: have every wheel, then deploy."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult
from orchestrator.model.plan import HostVerdict, WheelVerdict
from orchestrator.model.wheels import BuildKey
from orchestrator.planning.deployment import check_nothing_is_refused
from orchestrator.stages.build import BuildPorts, BuildTask, have_wheels
from orchestrator.stages.deploy import DeployPorts, DeployTask, deploy


def provision(
    identity: DeploymentIdentity, task: BuildTask, *, build_ports: BuildPorts, deploy_ports: DeployPorts
) -> DeploymentResult:
    """Do what the plan says and return what became of every host.

    A signature whose wheel cannot be had ends the run before any host is touched. Raises PlanError when the plan
    refuses an op.
    """
    plan = task.plan
    check_nothing_is_refused(plan)
    wheels = have_wheels(task, build_ports)
    artifacts = {BuildKey(key): artifact for key, artifact in wheels.values().items()}
    to_build = {wheel.build_key for wheel in plan.wheels if wheel.verdict is WheelVerdict.BUILD}
    built = {key: artifact for key, artifact in artifacts.items() if key in to_build}
    if wheels.failed or not plan.of_verdict(HostVerdict.INSTALL):
        labels = {str(wheel.build_key): wheel.signature.label for wheel in plan.wheels}
        failures = tuple(replace(outcome, host=labels[outcome.host]) for outcome in wheels.failed)
        return DeploymentResult(deployment=identity.id, built=built, failures=failures)
    order = DeployTask(identity=identity, plan=plan, facts=task.facts, pythons=task.pythons, artifacts=artifacts)
    return replace(deploy(order, deploy_ports), built=built)
