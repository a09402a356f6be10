"""Random faults at random steps, on folders that the agent's own code changes: after recovery nothing is mixed."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.carrier import FakeCarrier
from fakes.deployments import IDENTITY
from fakes.journal import MemoryJournal
from fakes.reporter import FakeReporter
from fakes.tmp_hosts import Fate, KilledError, TmpFleet, TmpHost

from orchestrator.errors import DsdeployError, ExitCode
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, HostEnd, MaxFailures, OnFailure, Policy
from orchestrator.model.history import DeploymentKind
from orchestrator.stages.change import ChangePorts, ChangeTask, change
from orchestrator.stages.orders import InstallOrder, KeptSource
from orchestrator.stages.recover import recover
from orchestrator.stages.verify import OpToCheck, VerifyOrder

SEEDS = range(200)
LATER = DeploymentIdentity(id="20260102T040000Z-def", started_at="2026-01-02T04:00:00+00:00", author="u@ctl")
VERSIONS = {HostEnd.OLD: "1", HostEnd.NEW: "2"}


class Story:
    """One deployment to a few hosts with everything that a seed makes go wrong."""

    def __init__(self, seed: int, folder: Path) -> None:
        dice = random.Random(seed)
        names = [f"worker-{number}" for number in range(dice.randint(2, 4))]
        self.hosts = {name: TmpHost(name, folder / name, _fate(dice)) for name in names}
        self.policy = _policy(dice)
        self.journal = MemoryJournal()
        self.forgets = dice.random() < 0.25
        """Whether recovery is another controller's, or the journal is lost."""
        self._stops: dict[int, Callable[[], BaseException]] = {}
        if dice.random() < 0.6:
            at = dice.randint(1, len(names) * 7)
            self._stops[at] = dice.choice([KilledError, KeyboardInterrupt])
            self._stops[at + dice.randint(1, 6)] = dice.choice([KeyboardInterrupt, KilledError])
        self._requests = 0
        self._is_killed = False

    def deploy(self) -> DeploymentResult | BaseException:
        orders = {name: _make_order(host) for name, host in self.hosts.items()}
        task = ChangeTask(identity=IDENTITY, kind=DeploymentKind.INSTALL, orders=orders, policy=self.policy)
        ports = ChangePorts(
            fleet=TmpFleet(self.hosts, self._count),
            reopen=self._reopen,
            carrier=FakeCarrier(),
            journal=_MortalJournal(self.journal, self._refuse_dead),
            reporter=FakeReporter(),
            now=lambda: "2026-01-02T03:05:00+00:00",
            pause=lambda _: None,
        )
        try:
            return change(task, ports)
        except (DsdeployError, KilledError) as end:
            return end

    def recover(self) -> None:
        """Bring everything to rest, with nothing in the way."""
        for host in self.hosts.values():
            host.fate = Fate()
            host.connect()
        journal = MemoryJournal() if self.forgets else self.journal
        fleet = TmpFleet(self.hosts, lambda: None)
        found = recover(list(self.hosts), LATER, fleet=fleet, journal=journal, reporter=FakeReporter())
        assert found.failures == ()

    def _count(self) -> None:
        self._refuse_dead()
        self._requests += 1
        stop = self._stops.get(self._requests)
        if stop is not None:
            self._is_killed = stop is KilledError
            raise stop()

    def _refuse_dead(self) -> None:
        if self._is_killed:
            raise KilledError

    def _reopen(self) -> AbstractContextManager[TmpFleet]:
        self._refuse_dead()
        for host in self.hosts.values():
            host.connect()
        return nullcontext(TmpFleet(self.hosts, self._count))


class _MortalJournal:
    """A journal into which a dead controller writes nothing."""

    def __init__(self, journal: MemoryJournal, before: Callable[[], None]) -> None:
        self._journal = journal
        self._before = before

    def __getattr__(self, name: str) -> Any:
        self._before()
        return getattr(self._journal, name)


def _make_order(host: TmpHost) -> InstallOrder:
    ops = (OpToCheck(name="adam"),)
    verification = VerifyOrder(python="python", version="2", accelerator="cpu", ops=ops)
    return InstallOrder(
        python="python",
        prefix=str(host.prefix),
        source=KeptSource(id="whatever these hosts put in"),
        version="2",
        before="1",
        stamp=None,
        find_verification=lambda _: verification,
    )


def _policy(dice: random.Random) -> Policy:
    policy = Policy(canary=dice.choice([0, 0, 1]), batch=dice.choice([None, None, 1, 2]))
    if dice.random() < 0.7:
        return policy
    return replace(policy, on_failure=OnFailure.DROP_HOST, max_failures=MaxFailures(count=dice.randint(0, 2)))


def _fate(dice: random.Random) -> Fate:
    def maybe(chance: float, most: int) -> int | None:
        return dice.randint(0, most) if dice.random() < chance else None

    return Fate(
        dies_after=[maybe(0.25, 60), maybe(0.25, 30), maybe(0.1, 30)],
        is_op_bad=dice.random() < 0.1,
        pip_fails=dice.random() < 0.1,
        loses_answer_to=dice.choice([*[None] * 8, "activate", "verified", "commit", "undo"]),
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: agents have all they do on disk before they go on, and that takes time."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as path:
        yield Path(path)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_every_host_ends_whole_and_like_the_others(seed: int, folder: Path) -> None:
    story = Story(seed, folder)
    faultless = {name for name, host in story.hosts.items() if host.fate == Fate(dies_after=[None, None, None])}
    told = story.deploy()
    if isinstance(told, DeploymentResult):
        check_words(story, told)
    story.recover()
    versions = {name: host.version() for name, host in story.hosts.items()}
    assert all(host.is_at_rest() for host in story.hosts.values())
    assert set(versions.values()) <= {"1", "2"}
    if story.policy.on_failure is OnFailure.ROLLBACK:
        assert len(set(versions.values())) == 1
    elif "2" in versions.values():
        assert {versions[name] for name in faultless} <= {"2"}


def check_words(story: Story, told: DeploymentResult) -> None:
    """What was told of hosts is what they have."""
    for name, end in told.ends.items():
        if end in VERSIONS:
            assert story.hosts[name].version() == VERSIONS[end]
            assert story.hosts[name].is_at_rest()
    is_done = set(told.ends.values()) == {HostEnd.NEW} and not told.failures and not told.interrupted
    assert (told.exit_code is ExitCode.DONE) == is_done


def test_the_stories_are_of_every_kind(folder: Path) -> None:
    ends = [story.deploy() for story in (Story(seed, folder / str(seed)) for seed in SEEDS)]
    results = [end for end in ends if isinstance(end, DeploymentResult)]
    assert any(isinstance(end, KilledError) for end in ends)
    assert any(isinstance(end, DsdeployError) for end in ends)
    assert {end for result in results for end in result.ends.values()} == {HostEnd.OLD, HostEnd.NEW, HostEnd.UNKNOWN}
    codes = {result.exit_code for result in results}
    assert {ExitCode.DONE, ExitCode.HOST, ExitCode.INSTALL, ExitCode.VERIFY, ExitCode.ROLLBACK} <= codes
    assert ExitCode.INTERRUPTED in codes
