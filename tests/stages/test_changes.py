"""What becomes of hosts when something fails behind the barrier, or before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.deployments import IDENTITY, World, make_world
from fakes.fleet import FakeFleet
from fakes.journal import MemoryJournal
from fakes.reporter import FakeReporter
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import (
    DsdeployError,
    ExitCode,
    HostError,
    InstallError,
    LockedError,
    StoppedError,
    TransferError,
    VerifyError,
)
from orchestrator.model.deployment import DeploymentResult, HostEnd, MaxFailures, OnFailure, Policy
from orchestrator.model.events import Note
from orchestrator.model.history import Decision
from orchestrator.model.verification import CheckState
from orchestrator.stages.deploy import deploy

HOSTS = [f"worker-{number}" for number in range(5)]
BEFORE: dict[str, DsdeployError] = {
    "hold": HostError("lost"),
    "has": HostError("lost"),
    "put": TransferError("disk full"),
    "stage": InstallError("pip refuses"),
}
BEHIND: dict[str, DsdeployError] = {
    "activate": InstallError("pip failed"),
    "verify": VerifyError("another version"),
    "verified": HostError("lost"),
    "commit": HostError("lost"),
}
FAULTS = {**BEFORE, **BEHIND}
BAD_OP = "bad op"
FAILING = st.dictionaries(st.sampled_from(HOSTS), st.sampled_from([*FAULTS, BAD_OP]))
POLICIES = st.builds(
    Policy,
    on_failure=st.sampled_from(OnFailure),
    max_failures=st.builds(MaxFailures, count=st.integers(0, 5)),
    canary=st.integers(0, 2),
    batch=st.none() | st.integers(1, 3),
)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), HOSTS)


def fresh(five: World, faults: Mapping[str, str], policy: Policy | None = None, *, lasting: int | None = 0) -> World:
    """The same five hosts as if nothing had happened to them, each with its fault."""
    world = replace(
        five,
        fleet=FakeFleet(five.facts),
        journal=MemoryJournal(),
        reporter=FakeReporter(),
        policy=policy or Policy(),
        lasting=lasting,
    )
    for host, fault in faults.items():
        if fault == BAD_OP:
            world.fleet.remotes[host].states["cpu_adam"] = CheckState.CRASHED
        else:
            world.fleet.remotes[host].errors[fault] = FAULTS[fault]
    return world


def run(world: World) -> DeploymentResult:
    return deploy(world.deploy_task, world.deploy_ports)


def truth(world: World) -> dict[str, HostEnd]:
    """What each host really has."""
    ends = {}
    for host, remote in world.fleet.remotes.items():
        is_new = remote.committed == IDENTITY.id
        ends[host] = HostEnd.UNKNOWN if remote.pending else HostEnd.NEW if is_new else HostEnd.OLD
    return ends


def codes(result: DeploymentResult) -> dict[str, ExitCode]:
    return {outcome.host: outcome.failure.exit_code for outcome in result.failures if outcome.failure}


@settings(deadline=None, max_examples=60)
@given(faults=FAILING)
def test_by_default_all_hosts_or_none_have_the_new_one(five: World, faults: dict[str, str]) -> None:
    world = fresh(five, faults)
    result = run(world)
    assert result.ends == truth(world)
    is_decided = set(faults.values()) <= {"commit"}  # then every op of every host was good
    assert set(result.ends.values()) == {HostEnd.NEW if is_decided else HostEnd.OLD}
    assert bool(result.failures) == (not is_decided)
    assert (result.exit_code is ExitCode.DONE) == is_decided


@settings(deadline=None, max_examples=100)
@given(faults=FAILING, policy=POLICIES)
def test_what_is_told_is_what_hosts_have(five: World, faults: dict[str, str], policy: Policy) -> None:
    world = fresh(five, faults, policy)
    result = run(world)
    told = {host: HostEnd.OLD if end is HostEnd.LEFT else end for host, end in result.ends.items()}
    assert told == truth(world)
    assert not any(remote.is_held for remote in world.fleet.remotes.values())
    assert all(result.ends[host] is not HostEnd.NEW for host, fault in faults.items() if fault != "commit")
    record = world.journal.get(IDENTITY.id)
    if record is not None:
        assert {host.host: host.end for host in record.hosts} == result.ends


@settings(deadline=None, max_examples=60)
@given(faults=FAILING, allowed=st.integers(0, 5))
def test_dropped_hosts_go_back_and_the_others_go_on_up_to_a_limit(
    five: World, faults: dict[str, str], allowed: int
) -> None:
    policy = Policy(on_failure=OnFailure.DROP_HOST, max_failures=MaxFailures(count=allowed))
    world = fresh(five, faults, policy)
    result = run(world)
    failing = {host for host, fault in faults.items() if fault != "commit"}
    good = set(HOSTS) - failing if len(failing) <= allowed else set()
    assert {host for host, end in result.ends.items() if end is HostEnd.NEW} == good
    assert HostEnd.UNKNOWN not in result.ends.values()


@settings(deadline=None, max_examples=60)
@given(faults=FAILING)
def test_nobody_goes_back_when_failed_hosts_are_to_be_looked_at(five: World, faults: dict[str, str]) -> None:
    world = fresh(five, faults, Policy(on_failure=OnFailure.KEEP))
    result = run(world)
    behind = {host for host, fault in faults.items() if fault in {"activate", "verify", "verified", BAD_OP}}
    assert {host for host, end in result.ends.items() if end is HostEnd.LEFT} == behind
    assert {host for host, end in result.ends.items() if end is HostEnd.OLD} == {
        host for host, fault in faults.items() if fault in BEFORE
    }


@settings(deadline=None, max_examples=60)
@given(faults=FAILING)
def test_no_host_is_changed_before_every_host_is_staged(five: World, faults: dict[str, str]) -> None:
    world = fresh(five, faults)
    result = run(world)
    operations = [operation for _, operation in world.fleet.requests]
    if set(BEFORE) & set(faults.values()):
        assert not {"activate", "undo", "commit"} & set(operations)
        assert result.ends == dict.fromkeys(HOSTS, HostEnd.OLD)
        assert world.journal.all() == ()
    else:
        assert operations.count("stage") == len(HOSTS)
        assert max(at for at, each in enumerate(operations) if each == "stage") < operations.index("activate")


@settings(deadline=None, max_examples=60)
@given(faults=FAILING)
def test_every_fault_is_told_once_and_the_worst_is_the_exit_code(five: World, faults: dict[str, str]) -> None:
    result = run(fresh(five, faults))
    failed = [outcome.host for outcome in result.failures]
    assert len(failed) == len(set(failed))
    assert result.exit_code == max(codes(result).values(), default=ExitCode.DONE)
    expected = {host: FAULTS[fault].exit_code if fault != BAD_OP else ExitCode.VERIFY for host, fault in faults.items()}
    assert codes(result).items() <= expected.items()


@pytest.mark.parametrize("operation", ["activate", "verify", "verified"])
def test_ctrl_c_behind_the_barrier_brings_every_host_back(five: World, operation: str) -> None:
    world = fresh(five, {})
    world.fleet.remotes["worker-1"].errors[operation] = KeyboardInterrupt()
    result = run(world)
    assert result.ends == truth(world) == dict.fromkeys(HOSTS, HostEnd.OLD)
    assert (result.interrupted, result.exit_code) == (True, ExitCode.INTERRUPTED)


def test_ctrl_c_after_the_decision_brings_every_host_forward(five: World) -> None:
    world = fresh(five, {})
    world.fleet.remotes["worker-3"].errors["commit"] = KeyboardInterrupt()
    result = run(world)
    assert result.ends == truth(world) == dict.fromkeys(HOSTS, HostEnd.NEW)
    assert result.exit_code is ExitCode.INTERRUPTED


@pytest.mark.parametrize("operation", BEFORE)
def test_ctrl_c_before_the_barrier_says_that_nothing_was_changed(five: World, operation: str) -> None:
    world = fresh(five, {})
    world.fleet.remotes["worker-1"].errors[operation] = KeyboardInterrupt()
    with pytest.raises(StoppedError, match="no host was changed"):
        run(world)
    assert truth(world) == dict.fromkeys(HOSTS, HostEnd.OLD)


def test_ctrl_c_twice_leaves_the_rest_to_later_and_says_so(five: World) -> None:
    world = fresh(five, {}, lasting=None)
    world.fleet.remotes["worker-1"].errors["verify"] = KeyboardInterrupt()
    world.fleet.remotes["worker-2"].errors["undo"] = KeyboardInterrupt()
    result = run(world)
    assert set(result.ends.values()) == {HostEnd.UNKNOWN}
    assert (result.interrupted, result.exit_code) == (True, ExitCode.ROLLBACK)
    record = world.journal.get(IDENTITY.id)
    assert record is not None
    assert not record.is_over


def test_one_ctrl_c_while_hosts_go_back_changes_nothing_about_that(five: World) -> None:
    world = fresh(five, {"worker-1": BAD_OP}, lasting=1)
    world.fleet.remotes["worker-3"].errors["undo"] = KeyboardInterrupt()
    result = run(world)
    assert result.ends == truth(world) == dict.fromkeys(HOSTS, HostEnd.OLD)
    assert (result.interrupted, result.exit_code) == (True, ExitCode.INTERRUPTED)
    assert ["twice" in (note.hint or "") for note in world.reporter.of(Note)] == [True, False]


def test_a_host_that_somebody_else_has_meanwhile_keeps_no_other_from_going_back(five: World) -> None:
    world = fresh(five, {"worker-1": BAD_OP, "worker-4": "verified"}, lasting=None)
    world.fleet.remotes["worker-4"].after["verified"] = {"hold": LockedError("alice@ctl has the lock")}
    result = run(world)
    assert result.ends == {**dict.fromkeys(HOSTS, HostEnd.OLD), "worker-4": HostEnd.UNKNOWN}
    unknown = [item.failure.message for item in result.failures if item.failure and item.host == "worker-4"]
    assert "alice@ctl has the lock" in unknown[-1]


def test_a_host_that_stays_away_is_told_as_unknown_and_the_others_are_back(five: World) -> None:
    world = fresh(five, {"worker-1": BAD_OP, "worker-4": "verified"}, lasting=None)
    world.fleet.remotes["worker-4"].errors["state"] = HostError("black hole")
    result = run(world)
    assert result.ends == {**dict.fromkeys(HOSTS, HostEnd.OLD), "worker-4": HostEnd.UNKNOWN}
    assert result.exit_code is ExitCode.ROLLBACK
    assert [outcome.host for outcome in result.failures].count("worker-4") == 2


def test_recovery_says_what_it_is_for_and_how_to_get_out(five: World) -> None:
    world = fresh(five, {"worker-1": BAD_OP})
    run(world)
    (note,) = world.reporter.of(Note)
    assert "worker-1 failed" in note.text
    assert "Ctrl-C" in (note.hint or "")


def test_a_host_that_somebody_else_deploys_to_ends_it_before_anything_is_sent(five: World) -> None:
    world = fresh(five, {})
    world.fleet.remotes["worker-2"].errors["hold"] = LockedError("alice@ctl deploys here")
    with pytest.raises(LockedError, match="worker-2: alice@ctl"):
        run(world)
    assert {operation for _, operation in world.fleet.requests} == {"hold"}


def test_canaries_are_verified_before_another_host_is_touched(five: World) -> None:
    world = fresh(five, {}, Policy(canary=2, batch=2))
    assert set(run(world).ends.values()) == {HostEnd.NEW}
    story = [(host, operation) for host, operation in world.fleet.requests if operation in {"activate", "verify"}]
    waves = [["worker-0", "worker-1"], ["worker-2", "worker-3"], ["worker-4"]]
    assert story == [(host, operation) for wave in waves for operation in ("activate", "verify") for host in wave]
    commits = [at for at, (_, operation) in enumerate(world.fleet.requests) if operation == "commit"]
    assert min(commits) > world.fleet.requests.index(("worker-4", "verified"))


def test_a_bad_canary_leaves_the_others_untouched(five: World) -> None:
    world = fresh(five, {"worker-0": BAD_OP}, Policy(canary=1))
    assert set(run(world).ends.values()) == {HostEnd.OLD}
    assert world.fleet.asked("activate") == ["worker-0"]


def test_the_decision_is_written_down_before_the_first_host_is_told(five: World) -> None:
    world = fresh(five, {})
    decided: list[Decision] = []
    asked = world.fleet.remotes["worker-0"].request

    def listen(operation: str, *arguments: Any, **named: Any) -> Any:
        if operation == "commit":
            record = world.journal.get(IDENTITY.id)
            assert record is not None
            decided.append(record.decision)
        return asked(operation, *arguments, **named)

    world.fleet.remotes["worker-0"].request = listen  # type: ignore[method-assign]
    run(world)
    assert decided == [Decision.COMMIT]


@pytest.mark.parametrize(
    ("operation", "answer"), [("activate", {"version": ["0.19.8"]}), ("verify", {"checks": "none"})]
)
def test_an_answer_that_cannot_be_read_is_that_hosts_failure(five: World, operation: str, answer: Any) -> None:
    world = fresh(five, {})
    world.fleet.remotes["worker-0"].answers[operation] = answer
    result = run(world)
    assert codes(result) == {"worker-0": ExitCode.HOST}
    assert set(result.ends.values()) == {HostEnd.OLD}


def test_policies_can_be_seen_in_a_world_of_their_own(tmp_path: Path) -> None:
    world = make_world(tmp_path, ["worker-0"])
    world.policy = Policy(even_if_busy=True)
    assert run(world).ends == {"worker-0": HostEnd.NEW}
    assert world.fleet.remotes["worker-0"].parameters["stage"]["even_if_busy"] is True
