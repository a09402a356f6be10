"""The fleet over real connections: one per host, all hosts at once, failures as values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from remote_sshd import Sshd, StartSshd, free_port

from orchestrator.errors import HostError
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcome
from orchestrator.ports import Command, Remote
from orchestrator.remote.channels import Channel
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet
from orchestrator.remote.frames import CHUNK_BYTES
from orchestrator.remote.local import ProcessChannel
from orchestrator.remote.opening import ssh_command

pytestmark = pytest.mark.cluster

NAMES = ["worker-0", "worker-1", "worker-2"]


@pytest.fixture
def server(start: StartSshd) -> Sshd:
    return start()


@pytest.fixture
def make_fleet(server: Sshd, tmp_path: Path) -> Callable[[], SshFleet]:
    """Makes fleets of three hosts on one server, and one that refuses."""
    config = tmp_path / "ssh_config"
    blocks = [server.config(name) for name in NAMES]
    config.write_text("".join([*blocks, server.config("refusing", Port=free_port())]))
    hosts = [Host(name=name) for name in (*NAMES, "refusing")]
    return lambda: SshFleet(hosts, settings=DialSettings(ssh_config=config))


@pytest.fixture
def fleet(make_fleet: Callable[[], SshFleet]) -> Iterator[SshFleet]:
    with make_fleet() as opened:
        yield opened


def ping(remote: Remote) -> str:
    assert remote.request("ping", {}) == {}
    return remote.host


def interrupt(_: Outcome[str]) -> None:
    raise KeyboardInterrupt


def test_a_host_is_connected_to_once_however_often_it_is_asked(fleet: SshFleet, server: Sshd) -> None:
    for _ in range(3):
        assert not fleet.each(NAMES, ping).failed
    assert fleet.remote(NAMES[0]) is fleet.remote(NAMES[0])
    assert server.logins == len(NAMES)


def test_all_hosts_work_at_the_same_time(fleet: SshFleet) -> None:
    meeting = threading.Barrier(len(NAMES), timeout=60)
    assert not fleet.each(NAMES, lambda _: meeting.wait()).failed


def test_an_interrupt_closes_every_connection(fleet: SshFleet) -> None:
    remotes = [fleet.remote(name) for name in NAMES]
    with pytest.raises(KeyboardInterrupt):
        fleet.each(NAMES, ping, on_done=interrupt)
    for remote in remotes:
        with pytest.raises(HostError):
            remote.request("ping", {})


def test_after_an_interrupt_the_same_hosts_can_be_connected_to_anew(
    fleet: SshFleet, make_fleet: Callable[[], SshFleet]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fleet.each(NAMES, ping, on_done=interrupt)
    with make_fleet() as fresh:
        assert list(fresh.each(NAMES, ping).values()) == NAMES


def test_hosts_that_froze_in_mid_transfer_hold_up_neither_an_interrupt_nor_the_end_of_the_program(
    fleet: SshFleet, server: Sshd, make_fleet: Callable[[], SshFleet], tmp_path: Path
) -> None:
    """What was sent to them fills every buffer on the way: not even a farewell gets through."""
    first, *others = NAMES
    sending = threading.Barrier(len(NAMES), timeout=60)

    def begin(sent_bytes: int, _total_bytes: int) -> None:
        if sent_bytes == CHUNK_BYTES:
            sending.wait()

    def task(remote: Remote) -> str:
        if remote.host == first:
            sending.wait()
            server.freeze_sessions()
        else:
            remote.put(bytes(50_000_000), str(tmp_path / remote.host), on_progress=begin)
        return remote.host

    threads = {thread for thread in threading.enumerate() if not thread.daemon}
    with pytest.raises(KeyboardInterrupt):
        fleet.each(NAMES, task, on_done=interrupt)
    assert {thread for thread in threading.enumerate() if not thread.daemon} == threads
    with make_fleet() as fresh:
        assert list(fresh.each(others, ping).values()) == others


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


def test_the_last_word_on_standard_error_is_told(fleet: SshFleet) -> None:
    """The host's shell says what became of its agent."""
    with pytest.raises(HostError, match="Killed"):
        fleet.remote(NAMES[0]).run(Command(argv=("sh", "-c", "kill -9 $PPID; sleep 600")))


def test_hosts_can_be_reached_by_other_ways_than_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked: list[str] = []

    def open_channel(host: Host) -> Channel:
        asked.append(host.name)
        if host.name == "away":
            raise HostError("away is away")
        return ProcessChannel(("sh", "-c", ssh_command()))

    hosts = [Host(name="here"), Host(name="away")]
    with SshFleet(hosts, settings=DialSettings(), open_channel=open_channel) as fleet:
        outcomes = fleet.each(["here", "away", "here"], ping)
    assert outcomes.values() == {"here": "here"}
    assert [outcome.host for outcome in outcomes.failed] == ["away"]
    assert sorted(asked) == ["away", "here"]
