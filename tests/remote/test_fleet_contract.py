"""What every fleet promises: run against the one over SSH and against the one in memory."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.fleet import FakeFleet
from fakes.hosts import make_facts
from remote_sshd import StartSshd, free_port

from orchestrator.errors import ExitCode, HostError, InstallError
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcome
from orchestrator.ports import Fleet, Remote
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet

NAMES = ["worker-0", "worker-1", "worker-2"]


@contextmanager
def over_ssh(start: StartSshd, tmp_path: Path) -> Iterator[SshFleet]:
    config, server = tmp_path / "ssh_config", start()
    blocks = [*(server.config(name) for name in NAMES), server.config("refusing", Port=free_port())]
    config.write_text("".join(blocks))
    hosts = [Host(name=name) for name in (*NAMES, "refusing")]
    with SshFleet(hosts, settings=DialSettings(ssh_config=config)) as fleet:
        yield fleet


@pytest.fixture(params=["memory", pytest.param("ssh", marks=pytest.mark.cluster)])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """Three hosts, and one that refuses."""
    if request.param == "memory":
        yield FakeFleet(dict.fromkeys(NAMES, make_facts()), unreachable=["refusing"])
    else:
        with over_ssh(request.getfixturevalue("start"), tmp_path) as opened:
            yield opened


def name_of(remote: Remote) -> str:
    return remote.host


def test_outcomes_come_in_the_order_of_the_hosts_and_each_is_told_once(fleet: Fleet) -> None:
    done: list[str] = []
    wanted = [NAMES[2], "refusing", NAMES[0]]
    outcomes = fleet.each(wanted, name_of, on_done=lambda outcome: done.append(outcome.host))
    assert [outcome.host for outcome in outcomes.items] == wanted
    assert outcomes.values() == {NAMES[2]: NAMES[2], NAMES[0]: NAMES[0]}
    assert sorted(done) == sorted(wanted)


def test_no_hosts_are_no_outcomes(fleet: Fleet) -> None:
    assert fleet.each([], name_of).items == ()


def test_a_host_that_refuses_fails_without_its_task(fleet: Fleet) -> None:
    ran: list[str] = []
    outcome = fleet.each(["refusing"], lambda remote: ran.append(remote.host)).items[0]
    assert outcome.failure is not None
    assert outcome.failure.exit_code is ExitCode.HOST
    assert outcome.failure.hint is not None
    assert ran == []
    with pytest.raises(HostError, match="refusing"):
        fleet.remote("refusing")


def test_an_expected_error_is_that_hosts_failure_alone(fleet: Fleet) -> None:
    def task(remote: Remote) -> str:
        if remote.host == NAMES[1]:
            raise InstallError("no room", hint="make some")
        return remote.host

    outcomes = fleet.each(NAMES, task)
    assert [outcome.is_ok for outcome in outcomes.items] == [True, False, True]
    failure = outcomes.items[1].failure
    assert failure is not None
    assert (failure.message, failure.hint, failure.exit_code) == ("no room", "make some", ExitCode.INSTALL)


def test_a_bug_is_raised_after_the_other_hosts_are_done(fleet: Fleet) -> None:
    done: list[Outcome[str]] = []

    def task(remote: Remote) -> str:
        if remote.host == NAMES[0]:
            raise ZeroDivisionError
        return remote.host

    with pytest.raises(ZeroDivisionError):
        fleet.each(NAMES, task, on_done=done.append)
    assert sorted(outcome.host for outcome in done) == NAMES[1:]


def test_one_host_has_one_session(fleet: Fleet) -> None:
    seen: list[Remote] = []
    fleet.each([NAMES[0]], seen.append)
    assert fleet.remote(NAMES[0]) is seen[0]


def test_a_conversation_ends_with_what_a_request_returns(fleet: Fleet) -> None:
    remote, ends = fleet.remote(NAMES[0]), queue.SimpleQueue[Any]()
    conversation = remote.converse("has", {"files": []}, on_event=lambda _: None, on_end=ends.put)
    assert ends.get(timeout=60) == remote.request("has", {"files": []})
    conversation.tell({"do": "nothing"}, b"more")
    conversation.cancel()
