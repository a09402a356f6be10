"""How a remembered deployment changes: by decisions, by ends, and by what hosts tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.errors import StoreError
from orchestrator.model.deployment import HostEnd, Stamp
from orchestrator.model.history import Decision, DeploymentKind, DeploymentRecord, HostRecord


def decided(record: DeploymentRecord, decisions: Mapping[str, Decision]) -> DeploymentRecord:
    """Return the record with decisions, host by host.

    The deployment's own is COMMIT when any host's is, UNDO when every host's is, else OPEN. Raises StoreError for a
    host that is not of this deployment: its decision would be lost.
    """
    strangers = decisions.keys() - {each.host for each in record.hosts}
    if strangers:
        raise StoreError(f"deployment {record.id} is not about {', '.join(sorted(strangers))}")
    hosts = tuple(replace(each, decision=decisions.get(each.host, each.decision)) for each in record.hosts)
    found = {each.decision for each in hosts}
    own = Decision.COMMIT if Decision.COMMIT in found else Decision.UNDO if found == {Decision.UNDO} else Decision.OPEN
    return replace(record, hosts=hosts, decision=own)


def ended(record: DeploymentRecord, ends: Mapping[str, HostEnd], ended_at: str) -> DeploymentRecord:
    """Return the record with what its hosts have now; hosts that are not in it are left out."""
    hosts = tuple(replace(each, end=ends.get(each.host, each.end)) for each in record.hosts)
    return replace(record, hosts=hosts, ended_at=ended_at)


def remembered(stamps: Mapping[str, Stamp]) -> dict[str, DeploymentRecord]:
    """Return id → deployment, as the stamps of hosts tell."""
    records: dict[str, DeploymentRecord] = {}
    for host, stamp in stamps.items():
        records[stamp.deployment] = completed(records.get(stamp.deployment), _of_stamp(host, stamp))
    return records


def completed(known: DeploymentRecord | None, told: DeploymentRecord) -> DeploymentRecord:
    """Return what is known, with hosts added that it lacks if it is known from stamps only."""
    if known is None:
        return told
    if not known.is_from_stamps:
        return known
    names = {each.host for each in known.hosts}
    return replace(
        known,
        hosts=(*known.hosts, *(each for each in told.hosts if each.host not in names)),
        started_at=min(known.started_at, told.started_at),
        ended_at=max(known.ended_at or "", told.ended_at or ""),
    )


def _of_stamp(host: str, stamp: Stamp) -> DeploymentRecord:
    """Return the deployment of one host's stamp; whether it was a rollback, a stamp does not tell."""
    return DeploymentRecord(
        id=stamp.deployment,
        kind=DeploymentKind.INSTALL,
        started_at=stamp.committed_at,
        author=stamp.committed_by,
        hosts=(
            HostRecord(
                host=host,
                decision=Decision.COMMIT,
                end=HostEnd.NEW,
                version=stamp.version,
                before=stamp.replaced,
                wheel_sha256=stamp.wheel_sha256,
                build_key=stamp.build_key,
                prefix=stamp.prefix,
            ),
        ),
        decision=Decision.COMMIT,
        ended_at=stamp.committed_at,
        is_from_stamps=True,
    )
