"""Bring hosts back to what they had before: plan it from what they have kept, then carry it out, all or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.errors import ExitCode, HostError
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, Kept, Policy, Stamp
from orchestrator.model.facts import Facts
from orchestrator.model.history import DeploymentKind, RestorePlan, RollbackPlan
from orchestrator.model.outcome import Failure, Outcome, Outcomes, fold_failures
from orchestrator.model.plan import HostVerdict
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.rollback import make_rollback
from orchestrator.planning.sites import make_sites, remember_together
from orchestrator.ports import Journal, Remote
from orchestrator.stages.change import ChangePorts, ChangeTask, change
from orchestrator.stages.orders import InstallOrder, KeptSource
from orchestrator.stages.verify import VerifyOrder, find_installed_order


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRollback:
    """The plan of a rollback and the facts that it was made from."""

    plan: RollbackPlan
    outcomes: Outcomes[Facts]

    @property
    def rejections(self) -> tuple[Outcome[object], ...]:
        """The rejected hosts as failures: those that could not be probed, then those that cannot get back anything."""
        unprobed = {outcome.host for outcome in self.outcomes.failed}
        rows = [row for row in self.plan.hosts if row.verdict is HostVerdict.REJECT and row.host not in unprobed]
        return (*self.outcomes.failed, *(_rejection(row) for row in rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackTask:
    """What is to be put back."""

    identity: DeploymentIdentity
    planned: PlannedRollback
    pythons: Mapping[str, str]
    """Host → target interpreter."""
    policy: Policy = field(default_factory=Policy)


def plan_rollback(outcomes: Outcomes[Facts], journal: Journal, *, to: str | None) -> PlannedRollback:
    """Return what a rollback of hosts that were probed would do; nothing is changed.

    Raises HostError when none of them could be probed, PlanError when there is nothing to go back to.
    """
    if not outcomes.values():
        folded = fold_failures(outcomes.failed)
        hints = dict.fromkeys(item.failure.hint for item in folded if item.failure.hint)
        lines = [f"{fold_hosts(item.hosts)}: {item.failure.message}" for item in folded]
        raise HostError("\n".join(["no host can be asked what it has kept:", *lines]), hint="\n".join(hints) or None)
    return PlannedRollback(plan=make_rollback(outcomes, journal.all(), to=to), outcomes=outcomes)


def roll_back(task: RollbackTask, ports: ChangePorts) -> DeploymentResult:
    """Put back on all hosts of the plan what they have kept, or on none; raises what `change` raises."""
    rows = {row.host: row for row in task.planned.plan.hosts if row.verdict is HostVerdict.INSTALL}
    facts = task.planned.outcomes.values()
    informed = remember_together(facts)
    orders = {host: _make_order(row, informed[host], task) for host, row in rows.items()}
    # Of hosts that share an installation, the one that has kept what was there writes it.
    keepers = sorted(rows, key=lambda host: all(kept.id != rows[host].kept for kept in facts[host].kept))
    sites = make_sites({host: facts[host] for host in keepers}, {host: order.version for host, order in orders.items()})
    return change(
        ChangeTask(
            identity=task.identity,
            kind=DeploymentKind.ROLLBACK,
            orders={host: order if sites[host] == host else order.following() for host, order in orders.items()},
            sites=sites,
            policy=task.policy,
        ),
        ports,
    )


def _make_order(row: RestorePlan, facts: Facts, task: RollbackTask) -> InstallOrder:
    kept = next(kept for kept in facts.kept if kept.id == row.kept)
    python, interpreter = task.pythons[row.host], facts.interpreter
    assert interpreter is not None  # else it would have kept nothing

    def find_verification(remote: Remote) -> VerifyOrder | None:
        order = find_installed_order(remote, python)
        return order if order and order.ops else None

    return InstallOrder(
        python=python,
        prefix=interpreter.prefix,
        source=KeptSource(id=kept.id),
        version=kept.version,
        before=row.now,
        committed=facts.committed,
        stamp=_make_stamp(kept, row, facts, task.identity),
        find_verification=find_verification,
    )


def _make_stamp(kept: Kept, row: RestorePlan, facts: Facts, identity: DeploymentIdentity) -> Stamp | None:
    """Return what the host is to remember: the old wheel, by this deployment, verified on what the host is now."""
    if kept.stamp is None:
        return None
    interpreter = facts.interpreter
    return replace(
        kept.stamp,
        deployment=identity.id,
        record_sha256="",
        committed_at=identity.started_at,
        committed_by=identity.author,
        gpus=tuple(gpu.name for gpu in facts.gpus),
        driver=next((gpu.driver for gpu in facts.gpus), None),
        torch_file=interpreter.torch.file if interpreter and interpreter.torch else None,
        replaced=row.now,
        restores=kept.stamp.restores or kept.stamp.deployment,
    )


def _rejection(row: RestorePlan) -> Outcome[object]:
    failure = Failure(message=f"{row.host}: {row.reason}", hint=row.hint, exit_code=ExitCode.PLAN)
    return Outcome(host=row.host, failure=failure)
