"""Commands that meet a deployment which did not end."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.fleet import FakeFleet
from fakes.hosts import make_facts
from fakes.journal import MemoryJournal
from rich.console import Console

from orchestrator.cli.options import Output, Targets
from orchestrator.cli.recovering import plan_at_rest, recover_hosts
from orchestrator.cli.wiring import Run
from orchestrator.errors import InstallError, LockedError, RollbackError
from orchestrator.model.deployment import ChangeState, Pending
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Outcome, Outcomes
from orchestrator.model.plan import DeployPlan
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.report.documents import recover_document
from orchestrator.report.tables.recover import recover_table
from orchestrator.stages.plan import Planned

HOSTS = ("worker-0", "worker-1")
BEGUN = Pending(
    deployment="20260101T000000Z-aaa",
    state=ChangeState.ACTIVATED,
    prefix="/opt/venv",
    author="u@ctl",
    since="2026-01-01T00:00:00Z",
)
PLAN = DeployPlan(recipe=Recipe(name="r", source=Source(kind=SourceKind.VERSION, value="0.19.8")), hosts=(), wheels=())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("".join(f"{host} slots=1\n" for host in HOSTS))
    with ExitStack() as stack:
        run = Run(Targets(hostfile=hostfile), Output(quiet=True), stack)
        run.fleet = FakeFleet(dict.fromkeys(HOSTS, make_facts()))
        run.journal = MemoryJournal()
        yield run


def leave_half_done(run: Run, host: str) -> FakeFleet:
    fleet = run.fleet
    assert isinstance(fleet, FakeFleet)
    pending = {name: getattr(BEGUN, name) for name in ("deployment", "prefix", "author", "since", "before", "after")}
    fleet.remotes[host].pending = {**pending, "state": BEGUN.state.value, "stamp": None}
    return fleet


class Planner:
    """Plans from what the hosts say at that moment."""

    def __init__(self, run: Run) -> None:
        self.times = 0
        self._run = run

    def __call__(self) -> Planned:
        self.times += 1
        fleet = self._run.fleet
        assert isinstance(fleet, FakeFleet)
        items = [Outcome(host=host, value=self._facts(fleet, host)) for host in HOSTS]
        return Planned(plan=PLAN, outcomes=Outcomes(items=tuple(items)))

    def _facts(self, fleet: FakeFleet, host: str) -> Facts:
        return replace(make_facts(), pending=BEGUN if fleet.remotes[host].pending else None)


def drawn(table: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_where_nothing_is_pending_there_is_one_plan_and_nobody_is_asked_more(run: Run) -> None:
    planner = Planner(run)
    plan_at_rest(run, planner)
    assert planner.times == 1
    assert isinstance(run.fleet, FakeFleet)
    assert run.fleet.requests == []


def test_what_is_pending_is_ended_before_the_plan_that_counts(run: Run) -> None:
    fleet, planner = leave_half_done(run, "worker-1"), Planner(run)
    planned = plan_at_rest(run, planner)
    assert planner.times == 2
    assert not any(facts.pending for facts in planned.outcomes.values().values())
    assert fleet.asked("undo") == ["worker-1"]


def test_what_cannot_be_ended_ends_the_command_and_names_the_host(run: Run) -> None:
    fleet = leave_half_done(run, "worker-1")
    fleet.remotes["worker-1"].errors["undo"] = InstallError("what was kept is gone")
    with pytest.raises(RollbackError, match="worker-1: what was kept is gone"):
        plan_at_rest(run, Planner(run))


def test_what_somebody_is_working_at_is_left_to_them(run: Run) -> None:
    fleet = leave_half_done(run, "worker-1")
    fleet.remotes["worker-1"].errors["hold"] = LockedError("deployment X by alice@ctl has the lock", hint="wait")
    with pytest.raises(LockedError, match="alice@ctl") as locked:
        plan_at_rest(run, Planner(run))
    assert locked.value.hint == "wait"
    assert fleet.asked("undo") == []


def test_recovery_says_what_was_pending_and_where_it_went(run: Run) -> None:
    leave_half_done(run, "worker-1")
    found = recover_hosts(run, HOSTS)
    document = recover_document(found)
    assert document["schema"] == "dsdeploy.recover/1"
    assert document["hosts"]["worker-0"] == []
    (step,) = document["hosts"]["worker-1"]
    assert (step["pending"]["deployment"], step["decision"], step["end"]) == (BEGUN.deployment, "undo", "old")
    text = drawn(recover_table(found))
    assert "has what it had before" in text
    assert "2 hosts at rest" in text


def test_recovery_of_hosts_at_rest_says_that_nothing_was_pending(run: Run) -> None:
    assert "nothing was pending on 2 hosts" in drawn(recover_table(recover_hosts(run, HOSTS)))


def test_recovery_names_the_hosts_that_are_not_at_rest(run: Run) -> None:
    fleet = leave_half_done(run, "worker-1")
    fleet.unreachable = ["worker-0"]
    found = recover_hosts(run, HOSTS)
    assert "worker-0 could not be brought to rest" in drawn(recover_table(found))
    assert [failure["host"] for failure in recover_document(found)["failures"]] == ["worker-0"]
