"""Judges hosts against what was deployed to them, by this controller's journal, else by what the hosts remember."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.model.deployment import HostEnd, Stamp
from orchestrator.model.history import Decision, DeploymentRecord, HostRecord
from orchestrator.model.outcome import Outcome, Outcomes
from orchestrator.model.status import ClusterStatus, Condition, Drift, DriftKind, HostState, HostStatus
from orchestrator.planning.drift import describe_pending, find_damage

_Deployed = tuple[DeploymentRecord, HostRecord]
"""A deployment of the journal, and its row of one host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusInput:
    """What there is to judge by."""

    hostfile: Sequence[str]
    """Every host of the hostfile, those that were not chosen too."""
    outcomes: Outcomes[Condition]
    """Of the chosen hosts, in hostfile order."""
    records: Sequence[DeploymentRecord]
    """The journal's, newest first."""


def judge_status(given: StatusInput) -> ClusterStatus:
    """Return every chosen host's state, and the hosts of the last deployment that have left the hostfile.

    A host is the same when it has the wheel of the newest deployment into it, and nothing changed there since: a later
    one that left it alone is no reason to drift. Where the journal, lost or another controller's, knows of none, the
    newest deployment that any of the hosts remembers takes its place.
    """
    stamps = [found.ledger.stamp for found in given.outcomes.values().values() if found.ledger.stamp]
    newest = max(stamps, key=lambda stamp: stamp.deployment, default=None)
    last = next((each for each in given.records if any(row.host in given.hostfile for row in _in_force(each))), None)
    ids = [*([last.id] if last else []), *([newest.deployment] if newest else [])]
    rows = [_judge_outcome(outcome, given, newest, has_deployment=bool(ids)) for outcome in given.outcomes.items]
    return ClusterStatus(
        deployment=max(ids, default=None),
        hosts=(*rows, *(_find_gone(last, given.hostfile) if last else ())),
        failures=given.outcomes.failed,
    )


def _in_force(record: DeploymentRecord) -> list[HostRecord]:
    """Return the hosts that have what a deployment brought, or will when they are recovered."""
    return [row for row in record.hosts if row.end in (HostEnd.NEW, HostEnd.LEFT) or _is_decided(row)]


def _is_decided(row: HostRecord) -> bool:
    return row.end in (None, HostEnd.UNKNOWN) and row.decision is Decision.COMMIT


def _find_deployed(records: Sequence[DeploymentRecord], host: str, prefix: str) -> _Deployed | None:
    """Return the newest deployment into this interpreter; what only stamps told the journal is no second witness."""
    found = (
        (record, row)
        for record in records
        if not record.is_from_stamps
        for row in _in_force(record)
        if row.host == host and row.prefix in (None, prefix)
    )
    return next(found, None)


def _find_gone(last: DeploymentRecord, hostfile: Sequence[str]) -> Iterator[HostStatus]:
    for row in _in_force(last):
        if row.host not in hostfile and row.wheel_sha256 is not None:
            text = f"not in the hostfile, and deployment {last.id} brought DeepSpeed {row.version} there"
            yield HostStatus(host=row.host, state=HostState.GONE, text=text, deployment=last.id, version=row.version)


def _judge_outcome(
    outcome: Outcome[Condition], given: StatusInput, newest: Stamp | None, *, has_deployment: bool
) -> HostStatus:
    condition = outcome.value
    if condition is None:
        text = outcome.failure.message if outcome.failure else ""
        return HostStatus(host=outcome.host, state=HostState.UNKNOWN, text=text)
    deployed = _find_deployed(given.records, outcome.host, condition.ledger.prefix)
    state, text, drifts = _judge(condition, deployed, newest)
    stamp = condition.ledger.stamp
    return HostStatus(
        host=outcome.host,
        state=HostState.NEW if state is HostState.NEVER and has_deployment else state,
        text=text,
        drifts=drifts,
        deployment=stamp.deployment if stamp else None,
        version=condition.deepspeed.version if condition.deepspeed else None,
        committed_at=stamp.committed_at if stamp else None,
    )


def _judge(
    condition: Condition, deployed: _Deployed | None, newest: Stamp | None
) -> tuple[HostState, str, tuple[Drift, ...]]:
    ledger = condition.ledger
    if ledger.pending is not None:
        return HostState.PENDING, describe_pending(ledger.pending), ()
    drifts = (
        *(_compare_with_journal(condition, *deployed) if deployed else ()),
        *(_compare_with_newest(ledger.stamp, newest) if ledger.stamp and newest and not deployed else ()),
        *(find_damage(ledger.stamp, condition) if ledger.stamp else ()),
    )
    if drifts:
        return HostState.DRIFTED, "; ".join(drift.text for drift in drifts), drifts
    if ledger.stamp is not None:
        return HostState.SAME, f"DeepSpeed {ledger.stamp.version} of deployment {ledger.stamp.deployment}", ()
    if deployed is not None:
        return HostState.SAME, f"{_installed(condition)}, as deployment {deployed[0].id} left it", ()
    return HostState.NEVER, f"{_installed(condition)}, and nothing was deployed there", ()


def _compare_with_journal(condition: Condition, record: DeploymentRecord, row: HostRecord) -> Iterator[Drift]:
    stamp = condition.ledger.stamp
    version = condition.deepspeed.version if condition.deepspeed else None
    wanted = f"DeepSpeed {row.version}" if row.version else "no DeepSpeed"
    if row.end is HostEnd.LEFT and stamp is None:
        yield _other(
            f"deployment {record.id} failed and was left there, not committed; there is {_installed(condition)}"
        )
    elif stamp is not None and stamp.wheel_sha256 != row.wheel_sha256:
        yield _other(
            f"it has deployment {stamp.deployment}, {_installed(condition)}; {record.id}, {wanted}, is the newest"
        )
    elif stamp is None and row.wheel_sha256 is not None:
        yield _other(
            f"it does not know of deployment {record.id}, {wanted}, any more; there is {_installed(condition)}"
        )
    elif stamp is None and version != row.version:
        yield _other(f"deployment {record.id} left {wanted}; there is {_installed(condition)}")


def _compare_with_newest(stamp: Stamp, newest: Stamp) -> Iterator[Drift]:
    """Hosts of other kinds have wheels of their own, made of the same DeepSpeed; equal ones share theirs."""
    is_same_kind = stamp.build_key == newest.build_key
    agrees = (
        stamp.wheel_sha256 == newest.wheel_sha256
        if is_same_kind
        else stamp.version.partition("+")[0] == newest.version.partition("+")[0]
    )
    if not agrees:
        yield _other(
            f"it has deployment {stamp.deployment}, DeepSpeed {stamp.version}; "
            f"{newest.deployment}, DeepSpeed {newest.version}, is the newest"
        )


def _other(text: str) -> Drift:
    return Drift(kind=DriftKind.DEPLOYMENT, text=text)


def _installed(condition: Condition) -> str:
    return f"DeepSpeed {condition.deepspeed.version}" if condition.deepspeed else "no DeepSpeed"
