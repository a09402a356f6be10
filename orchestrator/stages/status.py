"""Ask every host what was committed to it and what is there now, in one round trip each."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.model.events import Stage
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcomes
from orchestrator.model.status import ClusterStatus, Condition
from orchestrator.planning.status import StatusInput, judge_status
from orchestrator.ports import Fleet, Journal, Remote, Reporter
from orchestrator.stages.answers import read_answer
from orchestrator.stages.on_hosts import on_hosts

_TIMEOUT_S = 60.0


def ask_conditions(
    hosts: Sequence[Host], *, python: str | None, fleet: Fleet, reporter: Reporter
) -> Outcomes[Condition]:
    """Return what each host says of itself.

    The interpreter is the host's own (`python=` in the hostfile), else `python`, else the one that the newest
    deployment to that host went into.
    """
    pythons = {host.name: host.python or python for host in hosts}

    def ask(remote: Remote) -> Condition:
        document = remote.request("status", {"python": pythons[remote.host]}, timeout_s=_TIMEOUT_S)
        return read_answer(Condition, document, remote)

    return on_hosts(Stage.PROBE, list(pythons), ask, fleet=fleet, reporter=reporter)


def compare_with_journal(outcomes: Outcomes[Condition], *, hostfile: Sequence[str], journal: Journal) -> ClusterStatus:
    """Return how the hosts stand; `hostfile` is all of it. The journal learns of what only hosts remember."""
    records = journal.all()
    stamps = {host: found.ledger.stamp for host, found in outcomes.values().items() if found.ledger.stamp}
    if {stamp.deployment for stamp in stamps.values()} - {record.id for record in records}:
        journal.learn(stamps)
        records = journal.all()
    return judge_status(StatusInput(hostfile=hostfile, outcomes=outcomes, records=records))
