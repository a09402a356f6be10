"""Carry out a whole plan: have every wheel, then deploy."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult
from orchestrator.model.plan import HostVerdict, WheelVerdict
from orchestrator.model.wheels import BuildKey
from orchestrator.stages.build import BuildPorts, BuildTask, failed_wheels, have_wheels
from orchestrator.stages.deploy import DeployPorts, DeployTask, deploy


def provision(
    identity: DeploymentIdentity, task: BuildTask, *, build_ports: BuildPorts, deploy_ports: DeployPorts
) -> DeploymentResult:
    """Do what the plan says and return what became of every host.

    A signature whose wheel cannot be had ends the run before any host is touched. Raises PlanError when the plan
    refuses an op, and StoppedError as `deploy` does.
    """
    plan = task.plan
    wheels = have_wheels(task, build_ports)
    artifacts = {BuildKey(key): artifact for key, artifact in wheels.values().items()}
    to_build = {wheel.build_key for wheel in plan.wheels if wheel.verdict is WheelVerdict.BUILD}
    built = {key: artifact for key, artifact in artifacts.items() if key in to_build}
    if wheels.failed or not plan.of_verdict(HostVerdict.INSTALL):
        return DeploymentResult(deployment=identity.id, built=built, failures=failed_wheels(wheels, plan))
    order = DeployTask(identity=identity, plan=plan, facts=task.facts, pythons=task.pythons, artifacts=artifacts)
    return replace(deploy(order, deploy_ports), built=built)
