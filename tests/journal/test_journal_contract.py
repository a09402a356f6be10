"""What every journal promises: run against the file and against the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.journal import MemoryJournal
from fakes.records import FIRST, HOSTS, SECOND, make_record, make_stamp

from orchestrator.errors import StoreError
from orchestrator.journal.sqlite_journal import SqliteJournal
from orchestrator.model.deployment import HostEnd
from orchestrator.model.history import Decision
from orchestrator.ports import Journal

JOURNALS: dict[str, Callable[[Path], Journal]] = {"file": SqliteJournal, "memory": lambda _path: MemoryJournal()}
NOON = "2026-01-03T12:00:00+00:00"


@pytest.fixture(params=JOURNALS)
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return JOURNALS[request.param](tmp_path / "data" / "journal.db")


def decisions_of(journal: Journal, deployment: str = FIRST) -> list[Decision]:
    """The deployment's own decision, then each host's."""
    record = journal.get(deployment)
    assert record is not None
    return [record.decision, *(host.decision for host in record.hosts)]


def test_a_new_journal_knows_nothing(journal: Journal) -> None:
    assert journal.all() == ()
    assert journal.get(FIRST) is None


def test_a_deployment_is_there_as_it_was_begun(journal: Journal) -> None:
    journal.begin(make_record())
    assert journal.get(FIRST) == make_record()
    assert journal.all() == (make_record(),)


def test_a_deployment_begins_once(journal: Journal) -> None:
    journal.begin(make_record())
    journal.decide(FIRST, {"worker-0": Decision.COMMIT})
    with pytest.raises(StoreError):
        journal.begin(make_record())
    assert decisions_of(journal)[0] is Decision.COMMIT


def test_the_newest_is_first_whatever_the_order_of_writing(journal: Journal) -> None:
    for deployment in (SECOND, FIRST):
        journal.begin(make_record(deployment))
    assert [record.id for record in journal.all()] == [SECOND, FIRST]
    assert [record.id for record in journal.all(at_most=1)] == [SECOND]


def test_a_unique_beginning_of_an_id_finds_it(journal: Journal) -> None:
    for deployment in (FIRST, SECOND):
        journal.begin(make_record(deployment))
    assert journal.get("20260102") == make_record(SECOND)
    assert journal.get("202601") is None
    assert journal.get("20260103") is None
    assert journal.get("bbbb") is None


def test_a_beginning_has_four_characters_at_least(journal: Journal) -> None:
    journal.begin(make_record())
    assert journal.get("202") is None
    assert journal.get("2026") == make_record()


def test_a_whole_id_is_not_taken_for_the_beginning_of_another(journal: Journal) -> None:
    for deployment in ("20260101", "2026010111"):
        journal.begin(make_record(deployment))
    assert journal.get("20260101") == make_record("20260101")


def test_one_committed_host_makes_the_deployment_committed(journal: Journal) -> None:
    journal.begin(make_record())
    journal.decide(FIRST, {"worker-1": Decision.COMMIT})
    assert decisions_of(journal) == [Decision.COMMIT, Decision.OPEN, Decision.COMMIT, Decision.OPEN]
    journal.decide(FIRST, {"worker-2": Decision.UNDO})
    assert decisions_of(journal) == [Decision.COMMIT, Decision.OPEN, Decision.COMMIT, Decision.UNDO]


def test_a_deployment_is_undone_when_all_of_its_hosts_are(journal: Journal) -> None:
    journal.begin(make_record())
    journal.decide(FIRST, {"worker-0": Decision.UNDO})
    assert decisions_of(journal)[0] is Decision.OPEN
    journal.decide(FIRST, dict.fromkeys(HOSTS, Decision.UNDO))
    assert decisions_of(journal) == [Decision.UNDO] * 4


def test_no_decision_is_lost_in_silence(journal: Journal) -> None:
    with pytest.raises(StoreError):
        journal.decide(FIRST, {"worker-0": Decision.COMMIT})
    journal.begin(make_record())
    with pytest.raises(StoreError):
        journal.decide(FIRST, {"worker-0": Decision.COMMIT, "worker-9": Decision.COMMIT})
    assert journal.get(FIRST) == make_record()


def test_an_end_is_written_down_host_by_host(journal: Journal) -> None:
    journal.begin(make_record())
    journal.end(FIRST, dict.fromkeys(HOSTS[:2], HostEnd.NEW), NOON)
    record = journal.get(FIRST)
    assert record is not None
    assert [host.end for host in record.hosts] == [HostEnd.NEW, HostEnd.NEW, None]
    assert (record.ended_at, record.is_over) == (NOON, False)
    journal.end(FIRST, {"worker-2": HostEnd.OLD}, NOON)
    assert journal.all()[0].is_over


def test_ends_of_unknown_deployments_and_hosts_are_left_out(journal: Journal) -> None:
    journal.end(FIRST, {"worker-0": HostEnd.NEW}, NOON)
    assert journal.all() == ()
    journal.begin(make_record())
    journal.end(FIRST, {"worker-9": HostEnd.NEW}, NOON)
    assert journal.all() == (make_record(ended_at=NOON),)


def test_what_hosts_remember_becomes_a_deployment(journal: Journal) -> None:
    journal.learn({"worker-0": make_stamp(), "worker-1": make_stamp(), "worker-2": make_stamp(SECOND)})
    second, first = journal.all()
    assert (second.id, first.id) == (SECOND, FIRST)
    assert (first.is_from_stamps, first.is_over, first.decision) == (True, True, Decision.COMMIT)
    assert (first.author, first.ended_at) == ("ml@ctl", "2026-01-01T12:05:00+00:00")
    host = first.hosts[1]
    assert (host.host, host.end, host.decision) == ("worker-1", HostEnd.NEW, Decision.COMMIT)
    assert (host.version, host.before, host.prefix) == ("0.19.8+cpu", "0.19.7", "/opt/venv")


def test_hosts_that_are_asked_later_are_added(journal: Journal) -> None:
    journal.learn({"worker-0": make_stamp()})
    journal.learn({"worker-0": make_stamp(version="other"), "worker-1": make_stamp(committed_at=NOON)})
    (record,) = journal.all()
    assert [(host.host, host.version) for host in record.hosts] == [
        ("worker-0", "0.19.8+cpu"),
        ("worker-1", "0.19.8+cpu"),
    ]
    assert (record.started_at, record.ended_at) == ("2026-01-01T12:05:00+00:00", NOON)


def test_what_the_journal_saw_itself_is_not_changed_by_what_hosts_tell(journal: Journal) -> None:
    journal.begin(make_record())
    journal.learn({"worker-0": make_stamp(), "worker-9": make_stamp()})
    assert journal.all() == (make_record(),)


def test_no_stamps_teach_nothing(journal: Journal) -> None:
    journal.learn({})
    assert journal.all() == ()


@pytest.mark.parametrize("odd", ["", "x\x00y", "été", "\ud800", "%", "' OR 1=1 --"])
def test_an_odd_id_is_a_name_like_any_other(journal: Journal, odd: str) -> None:
    assert journal.get(odd) is None
    journal.learn({"worker-0": make_stamp(odd, version="\ud800")})
    journal.begin(make_record())
    record = journal.get(odd)
    assert record is not None
    assert (record.id, record.hosts[0].version) == (odd, "\ud800")
    assert replace(record, id=FIRST) != journal.get(FIRST)
