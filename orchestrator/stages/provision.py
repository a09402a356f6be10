"""Carry out a whole plan: have every wheel, then deploy."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, Policy
from orchestrator.model.plan import HostVerdict, WheelVerdict
from orchestrator.planning.deployment import check_nothing_is_refused
from orchestrator.stages.build import BuildPorts, BuildTask, have_wheels
from orchestrator.stages.deploy import DeployPorts, DeployTask, deploy


def provision(
    identity: DeploymentIdentity,
    task: BuildTask,
    policy: Policy,
    *,
    build_ports: BuildPorts,
    deploy_ports: DeployPorts,
) -> DeploymentResult:
    """Do what the plan says and return what became of every host.

    A signature whose wheel cannot be had ends the run before any host is touched. Raises PlanError, before anything is
    done, when the plan refuses an op, and what `deploy` raises.
    """
    plan = task.plan
    check_nothing_is_refused(plan.wheels)
    results = have_wheels(task, build_ports)
    artifacts = {result.build_key: result.artifact for result in results if result.artifact}
    to_build = {wheel.build_key for wheel in plan.wheels if wheel.verdict is WheelVerdict.BUILD}
    built = {key: artifact for key, artifact in artifacts.items() if key in to_build}
    failures = tuple(result.outcome for result in results if result.failure)
    if failures or not plan.of_verdict(HostVerdict.INSTALL):
        return DeploymentResult(deployment=identity.id, built=built, failures=failures)
    deployment = DeployTask(
        identity=identity, plan=plan, facts=task.facts, pythons=task.pythons, artifacts=artifacts, policy=policy
    )
    return replace(deploy(deployment, deploy_ports), built=built)
