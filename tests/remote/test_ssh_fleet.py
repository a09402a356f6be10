"""The fleet over real connections: one per host, all hosts at once, failures as values."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_sshd import Sshd, StartSshd, free_port

from orchestrator.errors import ExitCode, HostError, InstallError
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcome
from orchestrator.ports import Fleet, Remote
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet

pytestmark = pytest.mark.cluster

NAMES = ["worker-0", "worker-1", "worker-2"]


@pytest.fixture
def server(start: StartSshd) -> Sshd:
    return start()


@pytest.fixture
def fleet(server: Sshd, tmp_path: Path) -> Iterator[SshFleet]:
    """Three hosts on one server, and one that refuses."""
    config = tmp_path / "ssh_config"
    blocks = [server.config(name) for name in NAMES]
    config.write_text("".join([*blocks, server.config("refusing", Port=free_port())]))
    hosts = [Host(name=name) for name in (*NAMES, "refusing")]
    with SshFleet(hosts, settings=DialSettings(ssh_config=config)) as opened:
        yield opened


def ping(remote: Remote) -> str:
    assert remote.request("ping", {}) == {}
    return remote.host


def test_outcomes_come_in_the_order_of_the_hosts(fleet: SshFleet) -> None:
    done: list[str] = []
    wanted = [NAMES[2], "refusing", NAMES[0]]
    outcomes = fleet.each(wanted, ping, on_done=lambda outcome: done.append(outcome.host))
    assert [outcome.host for outcome in outcomes.items] == wanted
    assert outcomes.values() == {NAMES[2]: NAMES[2], NAMES[0]: NAMES[0]}
    assert sorted(done) == sorted(wanted)


def test_no_hosts_are_no_outcomes(fleet: SshFleet) -> None:
    port: Fleet = fleet
    assert port.each([], ping).items == ()


def test_a_host_is_connected_to_once_however_often_it_is_asked(fleet: SshFleet, server: Sshd) -> None:
    for _ in range(3):
        assert not fleet.each(NAMES, ping).failed
    assert fleet.remote(NAMES[0]) is fleet.remote(NAMES[0])
    assert server.logins == len(NAMES)


def test_all_hosts_work_at_the_same_time(fleet: SshFleet) -> None:
    meeting = threading.Barrier(len(NAMES), timeout=60)
    assert not fleet.each(NAMES, lambda _: meeting.wait()).failed


def test_a_host_that_refuses_fails_without_its_task(fleet: SshFleet) -> None:
    ran: list[str] = []
    outcome = fleet.each(["refusing"], lambda remote: ran.append(remote.host)).items[0]
    assert outcome.failure is not None
    assert outcome.failure.exit_code is ExitCode.HOST
    assert outcome.failure.hint is not None
    assert ran == []
    with pytest.raises(HostError, match="refusing"):
        fleet.remote("refusing")


def test_an_expected_error_is_that_hosts_failure_alone(fleet: SshFleet) -> None:
    def task(remote: Remote) -> str:
        if remote.host == NAMES[1]:
            raise InstallError("no room", hint="make some")
        return ping(remote)

    outcomes = fleet.each(NAMES, task)
    assert [outcome.is_ok for outcome in outcomes.items] == [True, False, True]
    failure = outcomes.items[1].failure
    assert failure is not None
    assert (failure.message, failure.hint, failure.exit_code) == ("no room", "make some", ExitCode.INSTALL)


def test_a_bug_is_raised_after_the_other_hosts_are_done(fleet: SshFleet) -> None:
    done: list[Outcome[str]] = []

    def task(remote: Remote) -> str:
        if remote.host == NAMES[0]:
            raise ZeroDivisionError
        return ping(remote)

    with pytest.raises(ZeroDivisionError):
        fleet.each(NAMES, task, on_done=done.append)
    assert sorted(outcome.host for outcome in done) == NAMES[1:]


def test_an_interrupt_closes_every_connection(fleet: SshFleet) -> None:
    remotes = [fleet.remote(name) for name in NAMES]

    def interrupt(_: Outcome[str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fleet.each(NAMES, ping, on_done=interrupt)
    for remote in remotes:
        with pytest.raises(HostError):
            remote.request("ping", {})


def test_workspaces_are_gone_when_the_fleet_is_closed(fleet: SshFleet) -> None:
    folders = fleet.each(NAMES, lambda remote: Path(remote.request("workspace", {})["path"])).values().values()
    assert all(folder.is_dir() for folder in folders)
    fleet.close()
    assert not any(folder.exists() for folder in folders)


def test_a_closed_fleet_opens_nothing(fleet: SshFleet, server: Sshd) -> None:
    fleet.close()
    with pytest.raises(HostError):
        fleet.remote(NAMES[0])
    assert server.logins == 0
