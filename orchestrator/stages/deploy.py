"""Carry out a plan's installations: an order for every host, then all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.audit.verdicts import judge
from orchestrator.audit.wheels import read_wheel
from orchestrator.errors import DsdeployError, PlanError
from orchestrator.model.audit import WheelContents
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, HostEnd, Policy
from orchestrator.model.facts import Facts
from orchestrator.model.history import DeploymentKind
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.model.plan import DeployPlan, HostVerdict
from orchestrator.model.wheels import Artifact, BuildKey
from orchestrator.planning.sites import check_bystanders, make_sites
from orchestrator.ports import PackageIndex, Store
from orchestrator.stages.audit import SymbolQuestion, check_symbols
from orchestrator.stages.bundle import Bundler, wheel_parcel
from orchestrator.stages.change import ChangePorts, ChangeTask, change
from orchestrator.stages.orders import InstallOrder, order_wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployPorts:
    """What a deployment acts through."""

    store: Store
    index: PackageIndex
    change: ChangePorts


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployTask:
    """What is to be deployed."""

    identity: DeploymentIdentity
    plan: DeployPlan
    facts: Mapping[str, Facts]
    pythons: Mapping[str, str]
    """Host → target interpreter."""
    artifacts: Mapping[BuildKey, Artifact]
    """The wheel of every build key in the plan."""
    policy: Policy = field(default_factory=Policy)


def deploy(task: DeployTask, ports: DeployPorts) -> DeploymentResult:
    """Install on every host that the plan says, or on none, and return what became of each.

    A host that can be given no order ends it before any host is asked. Raises what `change` raises, and PlanError when
    hosts that share an installation are to get different wheels.
    """
    orders, failures = _make_orders(task, ports)
    if failures:
        hosts = [row.host for row in task.plan.of_verdict(HostVerdict.INSTALL)]
        return DeploymentResult(deployment=task.identity.id, ends=dict.fromkeys(hosts, HostEnd.OLD), failures=failures)
    rejected = {row.host: row.reason for row in task.plan.of_verdict(HostVerdict.REJECT)}
    check_bystanders(task.facts, orders, rejected)
    sites = make_sites({host: task.facts[host] for host in orders}, {host: orders[host].version for host in orders})
    shared = {host: order if sites[host] == host else order.following() for host, order in orders.items()}
    return change(
        ChangeTask(
            identity=task.identity,
            kind=DeploymentKind.INSTALL,
            orders=shared,
            sites=sites,
            policy=task.policy,
            recipe=task.plan.recipe.name,
        ),
        ports.change,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wheel:
    """A wheel of the plan, read once for all hosts."""

    artifact: Artifact
    contents: WheelContents
    bundler: Bundler


def _make_orders(task: DeployTask, ports: DeployPorts) -> tuple[dict[str, InstallOrder], tuple[Outcome[object], ...]]:
    """Return an order for every host to install, or why it cannot be given one."""
    orders: dict[str, InstallOrder] = {}
    failures: list[Outcome[object]] = []
    questions: dict[str, SymbolQuestion] = {}
    wheels = {key: _read(artifact, ports) for key, artifact in task.artifacts.items()}
    for row in task.plan.of_verdict(HostVerdict.INSTALL):
        assert row.build_key is not None  # only rejected hosts have none
        wheel, host = wheels[row.build_key], row.host
        try:
            orders[host] = _make_order(host, wheel, task)
        except DsdeployError as error:
            failures.append(Outcome(host=host, failure=Failure.of(error)))
        else:
            questions[host] = SymbolQuestion(contents=wheel.contents, python=task.pythons[host], facts=task.facts[host])
    return orders, (*failures, *check_symbols(questions, ports.change.fleet))


def _read(artifact: Artifact, ports: DeployPorts) -> _Wheel:
    parcel = wheel_parcel(artifact, ports.store)
    contents = replace(read_wheel(parcel.source), manifest=artifact.manifest)
    return _Wheel(artifact=artifact, contents=contents, bundler=Bundler(parcel, contents.requires, ports.index))


def _make_order(host: str, wheel: _Wheel, task: DeployTask) -> InstallOrder:
    facts = task.facts[host]
    misfits = judge(wheel.contents, facts).misfits
    if misfits:
        evidence = "; ".join(misfit.evidence for misfit in misfits)
        raise PlanError(f"{host}: {wheel.artifact.filename} cannot work there: {evidence}")
    bundle = wheel.bundler.bundle_for(facts)
    return order_wheel(wheel.artifact, bundle, python=task.pythons[host], facts=facts, identity=task.identity)
