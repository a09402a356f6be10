from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from fakes.locks import LockFleet, LockHost
from fakes.reporter import FakeReporter

from orchestrator.errors import ExitCode, HostError, LockedError
from orchestrator.model.deployment import DeploymentIdentity
from orchestrator.model.events import Event, HostFinished, HostProgress, Note, Stage, StageStarted
from orchestrator.model.hosts import Host
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet
from orchestrator.remote.local import ProcessChannel
from orchestrator.remote.opening import ssh_command
from orchestrator.stages.locking import Pace, hold_hosts

OURS = DeploymentIdentity(id="20260202-bbbb", started_at="2026-02-02T00:00:00Z", author="me@ctl")
THEIRS = DeploymentIdentity(id="20260101-aaaa", started_at="2026-01-01T00:00:00Z", author="ml@ctl")
RESTLESS = Pace(alive_every_s=0.01)
LOCKED = "deployment 20260101-aaaa by ml@ctl (process 42 there) has the lock"
WAITING = {"event": "waiting", "text": LOCKED}


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive(), thread


def names(count: int) -> list[str]:
    return [f"worker-{number}" for number in range(count)]


def locked(message: str = LOCKED) -> LockedError:
    return LockedError(message, hint="it began 3 min ago")


def test_all_are_held_for_the_length_of_the_block_and_then_given_back() -> None:
    fleet, reporter = LockFleet([LockHost(name) for name in names(3)]), FakeReporter()
    with hold_hosts(names(3), OURS, fleet=fleet, reporter=reporter) as outcomes:
        assert [outcome.is_ok for outcome in outcomes.items] == [True] * 3
        assert [host.heard for host in fleet.hosts.values()] == [[]] * 3
    assert [host.heard for host in fleet.hosts.values()] == [["release"]] * 3
    asked = fleet.hosts["worker-0"].parameters
    assert (asked["deployment"], asked["author"], type(asked["pid"])) == (OURS.id, OURS.author, int)
    assert reporter.of(StageStarted) == [StageStarted(stage=Stage.LOCK, total=3)]


def test_agents_hear_that_the_controller_is_alive_although_one_of_them_is_stuck() -> None:
    hosts = [LockHost("worker-0", is_deaf=True), LockHost("worker-1")]
    has_heard = threading.Event()
    hosts[1].on_word = lambda _word: has_heard.set() if hosts[1].heard.count("alive") == 3 else None
    pace = Pace(alive_every_s=0.01, release_s=0.01)
    with hold_hosts(names(2), OURS, fleet=LockFleet(hosts), reporter=FakeReporter(), pace=pace):
        assert has_heard.wait(60)
    hosts[0].end(HostError("closed"))


def test_when_another_deployment_has_some_all_are_given_back() -> None:
    hosts = [LockHost(name) for name in names(4)]
    for host in hosts[1:3]:
        host.answer = WAITING
    hosts[1].on_word = lambda _word: hosts[1].end(locked()) if all(host.parameters for host in hosts) else None
    fleet = LockFleet(hosts)
    with (
        pytest.raises(LockedError) as refused,
        hold_hosts(names(4), OURS, fleet=fleet, reporter=FakeReporter(), pace=RESTLESS),
    ):
        pytest.fail("it must not begin")
    assert refused.value.message == f"worker-[1-2]: {LOCKED}"
    assert refused.value.hint == "it began 3 min ago"
    assert refused.value.exit_code is ExitCode.TRANSFER
    assert all(host.is_over.is_set() for host in hosts)


def test_each_owner_is_told_with_its_hosts() -> None:
    hosts = [LockHost("worker-0", {**WAITING, "text": "one"}), LockHost("worker-1", WAITING), LockHost("worker-2")]
    hosts[0].on_word = lambda _word: hosts[0].end(locked("one")) if hosts[1].parameters else None
    with (
        pytest.raises(LockedError) as refused,
        hold_hosts(names(3), OURS, fleet=LockFleet(hosts), reporter=FakeReporter(), pace=RESTLESS),
    ):
        pytest.fail("it must not begin")
    assert refused.value.message.splitlines() == ["worker-0: one", f"worker-1: {LOCKED}"]


@pytest.mark.parametrize(
    "host",
    [
        LockHost("worker-1", is_gone=True),
        LockHost("worker-1", HostError("worker-1: its cache cannot be locked")),
        LockHost("worker-1", None),
    ],
    ids=["gone", "refuses", "silent"],
)
def test_a_host_that_cannot_be_asked_is_a_failure_and_the_others_are_held(host: LockHost) -> None:
    fleet = LockFleet([LockHost("worker-0"), host])
    pace = Pace(alive_every_s=0.01, release_s=0.01)
    with hold_hosts(names(2), OURS, fleet=fleet, reporter=FakeReporter(), pace=pace) as outcomes:
        assert [outcome.is_ok for outcome in outcomes.items] == [True, False]
        assert not fleet.hosts["worker-0"].is_over.is_set()


def test_a_connection_that_dies_meanwhile_is_not_our_affair() -> None:
    hosts = [LockHost(name) for name in names(2)]
    with hold_hosts(names(2), OURS, fleet=LockFleet(hosts), reporter=FakeReporter()):
        hosts[0].end(HostError("the connection to worker-0 was lost"))
    assert hosts[1].heard == ["release"]


def test_what_agents_say_of_owners_is_told() -> None:
    taken_over = {"event": "held", "note": "took over the lock of a dead one"}
    hosts = [LockHost("worker-0", taken_over), LockHost("worker-1", taken_over), LockHost("worker-2", WAITING)]
    hosts[2].on_word = lambda _word: hosts[2].end(locked())
    reporter = FakeReporter()
    with hold_hosts(names(2), OURS, fleet=LockFleet(hosts), reporter=reporter):
        assert reporter.of(Note) == [Note(text="worker-[0-1]: took over the lock of a dead one")]
    with (
        pytest.raises(LockedError),
        hold_hosts(["worker-2"], OURS, fleet=LockFleet(hosts), reporter=reporter, pace=RESTLESS),
    ):
        pytest.fail("it must not begin")
    assert HostProgress(stage=Stage.LOCK, host="worker-2", text=WAITING["text"]) in reporter.events


def test_no_hosts_are_no_locks() -> None:
    with hold_hosts([], OURS, fleet=LockFleet([]), reporter=FakeReporter()) as outcomes:
        assert outcomes.items == ()


def test_ctrl_c_in_the_block_gives_all_back() -> None:
    hosts = [LockHost(name) for name in names(2)]
    fleet, reporter = LockFleet(hosts), FakeReporter()
    with pytest.raises(KeyboardInterrupt), hold_hosts(names(2), OURS, fleet=fleet, reporter=reporter):
        raise KeyboardInterrupt
    assert [host.heard for host in hosts] == [["release"]] * 2


class InterruptedReporter(FakeReporter):
    """Ctrl-C comes when the first host has ended a stage."""

    def emit(self, event: Event) -> None:
        if isinstance(event, HostFinished):
            raise KeyboardInterrupt


def test_ctrl_c_while_hosts_are_asked_gives_all_back() -> None:
    hosts = [LockHost("worker-0"), LockHost("worker-1", WAITING)]
    fleet, reporter = LockFleet(hosts), InterruptedReporter()
    with pytest.raises(KeyboardInterrupt), hold_hosts(names(2), OURS, fleet=fleet, reporter=reporter):
        pytest.fail("it must not begin")
    assert hosts[0].heard == ["release"]


@pytest.fixture
def open_fleet(tmp_path: Path) -> Iterator[Callable[[], SshFleet]]:
    """Opens a fleet of 8 real agents, each with a cache that it shares with its namesakes in other fleets."""
    with ExitStack() as stack:

        def connect(host: Host) -> ProcessChannel:
            return ProcessChannel(
                ["env", f"XDG_CACHE_HOME={tmp_path / host.name}", "sh", "-c", ssh_command([sys.executable])]
            )

        def open_one() -> SshFleet:
            hosts = [Host(name=name) for name in names(8)]
            return stack.enter_context(SshFleet(hosts, settings=DialSettings(), open_channel=connect))

        yield open_one


@pytest.mark.process
def test_of_controllers_that_race_one_wins_everywhere(open_fleet: Callable[[], SshFleet]) -> None:
    fleets = {OURS: open_fleet(), THEIRS: open_fleet()}
    for fleet in fleets.values():
        assert not fleet.each(names(8), lambda remote: remote.request("ping", {})).failed
    for _ in range(3):
        start, has_lost = threading.Barrier(2), threading.Event()

        def race(identity: DeploymentIdentity, start: threading.Barrier, has_lost: threading.Event) -> bool:
            start.wait()
            try:
                with hold_hosts(names(8), identity, fleet=fleets[identity], reporter=FakeReporter()) as outcomes:
                    assert not outcomes.failed
                    return has_lost.wait(60)
            except LockedError:
                has_lost.set()
                return False

        with ThreadPoolExecutor() as pool:
            races = [pool.submit(race, identity, start, has_lost) for identity in fleets]
            assert sorted(ended.result() for ended in races) == [False, True]
