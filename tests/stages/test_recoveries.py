from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fakes.deployments import IDENTITY
from fakes.fleet import FakeFleet
from fakes.hosts import make_facts
from fakes.journal import MemoryJournal
from fakes.records import make_record
from fakes.reporter import FakeReporter

from orchestrator.errors import ExitCode, HostError, InstallError, LockedError
from orchestrator.model.deployment import HostEnd
from orchestrator.model.events import Stage, StageStarted
from orchestrator.model.history import Decision
from orchestrator.model.recovery import Recovered
from orchestrator.stages.recover import recover, write_down

BEGUN = "20260101T000000Z-aaa"
HOSTS = ("worker-0", "worker-1", "worker-2")


def make_fleet(states: Mapping[str, str | None]) -> FakeFleet:
    """Hosts on which the same deployment has come so far; None: they have committed it."""
    fleet = FakeFleet(dict.fromkeys(HOSTS, make_facts()))
    for host, state in states.items():
        remote = fleet.remotes[host]
        remote.committed = None if state else BEGUN
        remote.pending = make_pending(state) if state else None
    return fleet


def make_pending(state: str) -> dict[str, Any]:
    return {
        "deployment": BEGUN,
        "state": state,
        "prefix": "/opt/venv",
        "author": "u@ctl",
        "since": "2026-01-01T00:00:00Z",
        "before": "1",
        "after": "2",
        "stamp": None,
    }


def bring_to_rest(fleet: FakeFleet, journal: MemoryJournal | None = None) -> Recovered:
    return recover(HOSTS, IDENTITY, fleet=fleet, journal=journal or MemoryJournal(), reporter=FakeReporter())


def ends(found: Recovered) -> list[HostEnd]:
    return [found.end_of(host, BEGUN) for host in HOSTS]


def test_hosts_at_rest_are_asked_and_left_alone() -> None:
    fleet = FakeFleet(dict.fromkeys(HOSTS, make_facts()))
    reporter = FakeReporter()
    found = recover(HOSTS, IDENTITY, fleet=fleet, journal=MemoryJournal(), reporter=reporter)
    assert (found.steps, found.failures, list(found.ledgers)) == ({}, (), list(HOSTS))
    assert {operation for _, operation in fleet.requests} == {"hold", "state"}
    assert [event.stage for event in reporter.of(StageStarted)] == [Stage.LOCK]


def test_what_nobody_has_committed_goes_back() -> None:
    fleet = make_fleet({"worker-0": "verified", "worker-1": "activating"})
    assert ends(bring_to_rest(fleet)) == [HostEnd.OLD] * 3
    assert fleet.asked("undo") == ["worker-0", "worker-1"]
    assert not any(remote.is_held or remote.pending for remote in fleet.remotes.values())


def test_what_one_has_committed_goes_forward_where_it_was_verified() -> None:
    fleet = make_fleet({"worker-0": None, "worker-1": "verified", "worker-2": "undoing"})
    assert ends(bring_to_rest(fleet)) == [HostEnd.NEW, HostEnd.NEW, HostEnd.OLD]


def test_what_was_decided_here_goes_forward_though_no_host_was_told() -> None:
    assert ends(bring_to_rest(make_fleet(dict.fromkeys(HOSTS, "verified")))) == [HostEnd.OLD] * 3
    journal = MemoryJournal(make_record(BEGUN))
    journal.decide(BEGUN, dict.fromkeys(HOSTS, Decision.COMMIT))
    assert ends(bring_to_rest(make_fleet(dict.fromkeys(HOSTS, "verified")), journal)) == [HostEnd.NEW] * 3


def test_a_host_that_is_away_and_one_that_is_taken_keep_no_other_from_its_end() -> None:
    fleet = make_fleet(dict.fromkeys(HOSTS, "activated"))
    fleet.unreachable = ["worker-0"]
    fleet.remotes["worker-1"].errors["hold"] = LockedError("alice@ctl has the lock")
    found = bring_to_rest(fleet)
    assert ends(found) == [HostEnd.UNKNOWN, HostEnd.UNKNOWN, HostEnd.OLD]
    codes = {item.host: item.failure.exit_code for item in found.failures if item.failure}
    assert codes == {"worker-0": ExitCode.HOST, "worker-1": ExitCode.TRANSFER}


def test_a_host_that_cannot_be_undone_is_not_called_well() -> None:
    fleet = make_fleet({"worker-0": "activated"})
    fleet.remotes["worker-0"].errors["undo"] = InstallError("what was kept is gone")
    assert ends(bring_to_rest(fleet)) == [HostEnd.UNKNOWN, HostEnd.OLD, HostEnd.OLD]


def test_the_journal_learns_how_it_ended_where_that_is_known() -> None:
    journal = MemoryJournal(make_record(BEGUN, ends=(None, None, None)))
    record = journal.get(BEGUN)
    assert record is not None
    names = tuple(host.host for host in record.hosts)
    fleet = FakeFleet(dict.fromkeys(names, make_facts()))
    for name in names[:2]:
        fleet.remotes[name].pending = make_pending("activated")
    fleet.remotes[names[1]].errors["undo"] = HostError("lost")
    found = recover(names, IDENTITY, fleet=fleet, journal=journal, reporter=FakeReporter())
    write_down(found, journal, "2026-01-03T00:00:00+00:00")
    record = journal.get(BEGUN)
    assert record is not None
    assert [host.end for host in record.hosts] == [HostEnd.OLD, HostEnd.UNKNOWN, None]
