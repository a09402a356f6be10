"""Carry out a plan's installations: fan out, stage everywhere, and only then activate, verify, commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.audit.verdicts import audit
from orchestrator.audit.wheels import read_wheel
from orchestrator.errors import DsdeployError, PlanError, StoppedError
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.model.plan import DeployPlan, HostVerdict
from orchestrator.model.wheels import Artifact, BuildKey
from orchestrator.planning.folding import fold_hosts
from orchestrator.ports import Carrier, Fleet, PackageIndex, Reporter, Store
from orchestrator.stages.bundle import Bundler, wheel_parcel
from orchestrator.stages.fan_out import fan_out
from orchestrator.stages.install import InstallOrder, activate, commit, stage
from orchestrator.stages.verify import VerifyOrder, failed_verifications, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployPorts:
    """What a deployment acts through."""

    fleet: Fleet
    carrier: Carrier
    store: Store
    index: PackageIndex
    reporter: Reporter


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


def deploy(task: DeployTask, ports: DeployPorts) -> DeploymentResult:
    """Install every host that the plan says, all behind one barrier, and return what became of each.

    Until every host is staged nothing has changed anywhere, and any failure so far ends the deployment.
    Raises StoppedError, which names the hosts that need a look, when Ctrl-C comes later than that.
    """
    result = DeploymentResult(deployment=task.identity.id)
    orders, failures = _make_orders(task, ports)
    if failures:
        return replace(result, failures=failures)
    bundles = {host: order.bundle for host, order in orders.items()}
    carried = fan_out(bundles, carrier=ports.carrier, fleet=ports.fleet, reporter=ports.reporter)
    deliveries = carried.outcomes
    result = replace(result, deliveries=deliveries.values(), fan_out=carried.report, failures=deliveries.failed)
    if result.failures:
        return result
    staged = stage(orders, fleet=ports.fleet, reporter=ports.reporter)
    if staged.failed:
        return replace(result, failures=staged.failed)
    try:
        return _change(task, orders, result, ports)
    except KeyboardInterrupt:
        raise StoppedError(
            f"stopped while {fold_hosts(orders)} changed; each has DeepSpeed as it was, or as it is meant to be",
            hint="dsdeploy provision finishes what is not committed; dsdeploy verify shows what works",
        ) from None


def _change(
    task: DeployTask, orders: Mapping[str, InstallOrder], result: DeploymentResult, ports: DeployPorts
) -> DeploymentResult:
    """Do what happens behind the barrier."""
    fleet, reporter = ports.fleet, ports.reporter
    activated = activate(orders, fleet=fleet, reporter=reporter)
    checks = verify({host: _verify_order(orders[host]) for host in activated.values()}, fleet=fleet, reporter=reporter)
    verifications = checks.values()
    good = {
        host: done for host, done in activated.values().items() if host in verifications and verifications[host].is_good
    }
    committed = commit(orders, good, task.identity, fleet=fleet, reporter=reporter)
    failures = (
        *activated.failed,
        *checks.failed,
        *failed_verifications(verifications),
        *committed.failed,
    )
    stamped = tuple(item.host for item in committed.items if item.is_ok)
    return replace(
        result,
        verifications=verifications,
        committed=stamped,
        changed=tuple(host for host in orders if host not in stamped),
        failures=failures,
    )


def _make_orders(task: DeployTask, ports: DeployPorts) -> tuple[dict[str, InstallOrder], tuple[Outcome[object], ...]]:
    """Return an order for every host to install, or why it cannot be given one."""
    orders: dict[str, InstallOrder] = {}
    failures: list[Outcome[object]] = []
    bundlers = {key: _make_bundler(artifact, ports) for key, artifact in task.artifacts.items()}
    for host in task.plan.of_verdict(HostVerdict.INSTALL):
        assert host.build_key is not None  # only rejected hosts have none
        artifact, bundler = task.artifacts[host.build_key], bundlers[host.build_key]
        try:
            orders[host.host] = _make_order(host.host, artifact, bundler, task)
        except DsdeployError as error:
            failures.append(Outcome(host=host.host, failure=Failure.of(error)))
    return orders, tuple(failures)


def _make_bundler(artifact: Artifact, ports: DeployPorts) -> Bundler:
    parcel = wheel_parcel(artifact, ports.store)
    return Bundler(parcel, read_wheel(parcel.source).requires, ports.index)


def _make_order(host: str, artifact: Artifact, bundler: Bundler, task: DeployTask) -> InstallOrder:
    facts = task.facts[host]
    misfits = audit(artifact.manifest, facts)
    if misfits:
        evidence = "; ".join(misfit.evidence for misfit in misfits)
        raise PlanError(f"{host}: {artifact.filename} cannot work there: {evidence}")
    assert facts.interpreter is not None  # the audit asks for one
    return InstallOrder(
        python=task.pythons[host],
        prefix=facts.interpreter.prefix,
        artifact=artifact,
        bundle=bundler.bundle_for(facts),
    )


def _verify_order(order: InstallOrder) -> VerifyOrder:
    return VerifyOrder.of_manifest(order.artifact.manifest, order.python)
