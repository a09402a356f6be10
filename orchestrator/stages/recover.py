"""Bring hosts to rest: end every deployment that is pending on them, forward or back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.model.deployment import DeploymentIdentity, HostEnd, HostLedger
from orchestrator.model.events import Stage
from orchestrator.model.history import Decision, DeploymentRecord
from orchestrator.model.outcome import Outcomes
from orchestrator.model.recovery import Recovered, RecoveryStep
from orchestrator.planning.recovery import decide_recovery
from orchestrator.ports import Fleet, Journal, Remote, Reporter
from orchestrator.stages.answers import read_answer
from orchestrator.stages.locking import hold_free_hosts
from orchestrator.stages.on_hosts import on_hosts

_STATE_TIMEOUT_S = 60.0
_STEP_TIMEOUT_S = 600.0
"""For a disk that is slow; what is copied is one distribution."""


def recover(
    hosts: Sequence[str], identity: DeploymentIdentity, *, fleet: Fleet, journal: Journal, reporter: Reporter
) -> Recovered:
    """End what is pending on hosts, and return what was found and done; a host that fails does not stop the others.

    The decisions are planning's. A host that another deployment has at this moment is one that fails.
    """
    with hold_free_hosts(hosts, identity, fleet=fleet, reporter=reporter) as locked:
        held = [outcome.host for outcome in locked.items if outcome.is_ok]
        asked = fleet.each(held, _read_ledgers)
        ledgers = asked.values()
        steps = decide_recovery(ledgers, _records(ledgers, journal))
        told = _carry_out(steps, fleet, reporter)
    failures = (*locked.failed, *asked.failed, *told.failed)
    return Recovered(ledgers=ledgers, steps=steps, failures=failures)


def write_down(recovered: Recovered, journal: Journal, now: str) -> None:
    """Let the journal know how the deployments that were pending have ended."""
    ends: dict[str, dict[str, HostEnd]] = {}
    for host, steps in recovered.steps.items():
        for step in steps:
            deployment = step.pending.deployment
            ends.setdefault(deployment, {})[host] = recovered.end_of(host, deployment)
    for deployment, found in ends.items():
        journal.end(deployment, found, now)


def _carry_out(steps: Mapping[str, Sequence[RecoveryStep]], fleet: Fleet, reporter: Reporter) -> Outcomes[None]:
    def task(remote: Remote) -> None:
        for step in steps[remote.host]:
            operation = "commit" if step.decision is Decision.COMMIT else "undo"
            words = {"prefix": step.pending.prefix, "deployment": step.pending.deployment}
            remote.request(operation, words, timeout_s=_STEP_TIMEOUT_S)

    return on_hosts(Stage.RECOVER, list(steps), task, fleet=fleet, reporter=reporter)


def _read_ledgers(remote: Remote) -> tuple[HostLedger, ...]:
    answer: Any = remote.request("state", {}, timeout_s=_STATE_TIMEOUT_S)
    return read_answer(tuple[HostLedger, ...], answer, remote)


def _records(ledgers: Mapping[str, Sequence[HostLedger]], journal: Journal) -> dict[str, DeploymentRecord]:
    pending = {each.pending.deployment for found in ledgers.values() for each in found if each.pending}
    records = {deployment: journal.get(deployment) for deployment in pending}
    return {deployment: record for deployment, record in records.items() if record is not None}
