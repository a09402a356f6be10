"""Asking hosts in memory for their status, and holding it against a journal in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fakes.fleet import FakeFleet
from fakes.hosts import make_facts
from fakes.journal import MemoryJournal
from fakes.reporter import FakeReporter

from orchestrator.errors import ExitCode
from orchestrator.model.codec import to_document
from orchestrator.model.deployment import HostLedger, Stamp
from orchestrator.model.facts import InstalledDeepSpeed
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcomes
from orchestrator.model.status import ClusterStatus, Condition, HostState
from orchestrator.stages.status import ask_conditions, compare_with_journal

NAMES = ("worker-0", "worker-1")
STAMP = Stamp(
    deployment="20260202T000000Z-b",
    prefix="/opt/venv",
    build_key="key",
    wheel_sha256="wheel",
    version="0.19.8",
    record_sha256="record",
    torch_version="2.13.0",
    committed_at="2026-02-02T00:00:00+00:00",
    committed_by="u@ctl",
)
GOOD = Condition(
    python="/opt/venv/bin/python",
    ledger=HostLedger(prefix="/opt/venv", stamp=STAMP),
    deepspeed=InstalledDeepSpeed(version="0.19.8", location="/opt/venv/lib", record_sha256="record"),
    torch_version="2.13.0",
)


def make_fleet(document: Any = None) -> FakeFleet:
    fleet = FakeFleet(dict.fromkeys(NAMES, make_facts()))
    for remote in fleet.remotes.values():
        remote.answers["status"] = to_document(GOOD) if document is None else document
    return fleet


def ask(fleet: FakeFleet, *hosts: Host, python: str | None = None) -> Outcomes[Condition]:
    chosen = hosts or tuple(Host(name=name) for name in NAMES)
    return ask_conditions(chosen, python=python, fleet=fleet, reporter=FakeReporter())


def compare(fleet: FakeFleet, journal: MemoryJournal) -> ClusterStatus:
    return compare_with_journal(ask(fleet), hostfile=NAMES, journal=journal)


def test_one_request_a_host_says_all() -> None:
    fleet = make_fleet()
    assert ask(fleet).values() == dict.fromkeys(NAMES, GOOD)
    assert fleet.requests == [(name, "status") for name in NAMES]


def test_the_hostfiles_interpreter_beats_the_command_lines_and_none_leaves_it_to_the_host() -> None:
    fleet = make_fleet()
    ask(fleet, Host(name="worker-0", python="/own"), Host(name="worker-1"), python="/given")
    assert [fleet.remotes[name].parameters["status"]["python"] for name in NAMES] == ["/own", "/given"]
    ask(fleet)
    assert [fleet.remotes[name].parameters["status"]["python"] for name in NAMES] == [None, None]


def test_an_empty_journal_learns_what_hosts_remember() -> None:
    journal = MemoryJournal()
    status = compare(make_fleet(), journal)
    assert [host.state for host in status.hosts] == [HostState.SAME] * 2
    (record,) = journal.all()
    assert (record.id, record.is_from_stamps) == (STAMP.deployment, True)
    assert [row.host for row in record.hosts] == list(NAMES)


def test_a_host_that_cannot_be_reached_is_unknown_and_stops_nobody() -> None:
    fleet = make_fleet()
    fleet.unreachable = ("worker-1",)
    status = compare(fleet, MemoryJournal())
    assert [host.state for host in status.hosts] == [HostState.SAME, HostState.UNKNOWN]
    assert status.exit_code is ExitCode.HOST


def test_an_answer_that_is_no_condition_is_a_failure_of_that_host() -> None:
    status = compare(make_fleet({"python": 3}), MemoryJournal())
    assert [host.state for host in status.hosts] == [HostState.UNKNOWN] * 2
    assert "cannot be read" in status.hosts[0].text


def test_nothing_deployed_anywhere_leaves_the_journal_empty() -> None:
    bare = replace(GOOD, ledger=HostLedger(prefix="/opt/venv"), deepspeed=None)
    journal = MemoryJournal()
    status = compare(make_fleet(to_document(bare)), journal)
    assert [host.state for host in status.hosts] == [HostState.NEVER] * 2
    assert journal.all() == ()
