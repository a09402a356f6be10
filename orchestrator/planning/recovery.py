"""Decides where a deployment that did not end goes on each host: forward, or back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.model.deployment import ChangeState, HostLedger, Pending
from orchestrator.model.history import Decision, DeploymentRecord
from orchestrator.model.recovery import RecoveryStep

Records = Mapping[str, DeploymentRecord]


def decide_recovery(
    ledgers: Mapping[str, Sequence[HostLedger]], records: Records
) -> dict[str, tuple[RecoveryStep, ...]]:
    """Return host → what to do with each deployment that is pending there; hosts without any are left out.

    `records` is what this controller's journal knows. Its decision holds, for it was on disk before the first host was
    told. Where it knows nothing, because another controller deployed, or the journal is lost, a deployment was decided
    when some host has committed it. A host that had not verified everything goes back in any case.
    """
    every = [ledger for found in ledgers.values() for ledger in found]
    steps: dict[str, tuple[RecoveryStep, ...]] = {}
    for host, found in ledgers.items():
        pendings = [ledger.pending for ledger in found if ledger.pending]
        if pendings:
            steps[host] = tuple(_step(host, pending, records, every) for pending in pendings)
    return steps


def _step(host: str, pending: Pending, records: Records, every: Sequence[HostLedger]) -> RecoveryStep:
    decision, reason = _decide(host, pending, records, every)
    return RecoveryStep(pending=pending, decision=decision, reason=reason)


def _decide(host: str, pending: Pending, records: Records, every: Sequence[HostLedger]) -> tuple[Decision, str]:
    if pending.state is not ChangeState.VERIFIED:
        return Decision.UNDO, f"it had come to `{pending.state.value}`"
    record = records.get(pending.deployment)
    if record is not None and not record.is_from_stamps:
        decisions = {each.host: each.decision for each in record.hosts}
        if decisions.get(host, record.decision) is Decision.COMMIT:
            return Decision.COMMIT, "it was verified everywhere and decided"
        return Decision.UNDO, "it was not decided to keep it"
    if record is not None or any(ledger.committed == pending.deployment for ledger in every):
        return Decision.COMMIT, "it was verified here, and other hosts have committed it"
    return Decision.UNDO, "no host that was asked has committed it"
