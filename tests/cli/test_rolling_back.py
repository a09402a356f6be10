"""`dsdeploy rollback` as the command does it, on hosts in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.carrier import FakeCarrier
from fakes.fleet import FakeFleet
from fakes.journal import MemoryJournal
from fakes.pasts import FRESH, deploy, with_pip
from rich.console import Console

from orchestrator.cli.options import Output, Targets
from orchestrator.cli.rolling_back import roll_hosts_back
from orchestrator.cli.wiring import Run
from orchestrator.errors import ExitCode, PlanError, UsageError
from orchestrator.model.deployment import Policy
from orchestrator.model.facts import Facts

D1, D2 = "20260101T000000Z-1", "20260102T000000Z-2"
ONCE = deploy(FRESH, D1, "1.0+a")
TWICE = deploy(ONCE, D2, "2.0+a")
BOTH = {"worker-0": TWICE, "worker-1": TWICE}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def make_run(tmp_path: Path, stack: ExitStack, facts: Mapping[str, Facts]) -> tuple[Run, FakeFleet]:
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("".join(f"{host} slots=1\n" for host in facts))
    run, fleet = Run(Targets(hostfile=hostfile), Output(quiet=True), stack), FakeFleet(facts)
    run.fleet, run.carrier, run.journal = fleet, FakeCarrier(), MemoryJournal()
    run.reopen_fleet = lambda: nullcontext(fleet)  # type: ignore[method-assign]
    return run, fleet


def test_a_rollback_is_told_with_its_plan_and_what_became_of_every_host(tmp_path: Path, stack: ExitStack) -> None:
    run, _ = make_run(tmp_path, stack, {**BOTH, "worker-2": ONCE})
    answer = roll_hosts_back(run, Policy(), to=None, is_confirmed=True)
    document = answer.document()
    assert answer.exit_code is ExitCode.DONE
    assert (document["schema"], document["exit_code"]) == ("dsdeploy.rollback/1", 0)
    assert (document["plan"]["undoes"], document["plan"]["to"]) == (D2, D1)
    assert [row["verdict"] for row in document["plan"]["hosts"]] == ["install", "install", "keep"]
    assert document["ends"] == {"worker-0": "new", "worker-1": "new"}
    assert document["committed"] == ["worker-0", "worker-1"]
    assert run.journal.all()[0].id == document["deployment"]


def test_hosts_that_are_there_already_are_not_changed(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack, BOTH)
    answer = roll_hosts_back(run, Policy(), to=D2, is_confirmed=False)
    assert (answer.exit_code, answer.document()["ends"]) == (ExitCode.DONE, {})
    assert fleet.requests == [(host, "facts") for host in BOTH]


def test_a_host_that_cannot_get_back_what_it_had_is_told_and_the_others_go_back(
    tmp_path: Path, stack: ExitStack
) -> None:
    run, _ = make_run(tmp_path, stack, {"worker-0": TWICE, "worker-1": with_pip(TWICE, "9.9")})
    answer = roll_hosts_back(run, Policy(), to=None, is_confirmed=True)
    assert (answer.exit_code, answer.document()["exit_code"]) == (ExitCode.PLAN, 4)
    assert answer.document()["committed"] == ["worker-0"]
    assert [failure["host"] for failure in answer.document()["failures"]] == ["worker-1"]


def test_hosts_with_nothing_to_go_back_to_are_an_error(tmp_path: Path, stack: ExitStack) -> None:
    run, _ = make_run(tmp_path, stack, {"worker-0": replace(TWICE, kept=())})
    with pytest.raises(PlanError, match="no host can be rolled back"):
        roll_hosts_back(run, Policy(), to=None, is_confirmed=True)


def test_without_a_terminal_nothing_is_rolled_back_unless_yes_was_said(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    run, fleet = make_run(tmp_path, stack, BOTH)
    with pytest.raises(UsageError, match="roll back 2 hosts") as error:
        roll_hosts_back(run, Policy(), to=None, is_confirmed=False)
    assert error.value.hint is not None
    assert "--yes" in error.value.hint
    assert fleet.asked("activate") == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("said", "changed"), [("y\n", list(BOTH)), ("n\n", [])])
def test_the_plan_is_shown_and_asked_for(
    said: str,
    changed: list[str],
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(said))
    run, fleet = make_run(tmp_path, stack, BOTH)
    with nullcontext() if changed else pytest.raises(UsageError, match="nothing was changed"):
        roll_hosts_back(run, Policy(), to=None, is_confirmed=False)
    assert fleet.asked("activate") == changed
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(word in shown.err for word in ("worker-[0-1]", "2.0+a", "1.0+a"))


def test_a_summary_is_drawn_for_people(tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = make_run(tmp_path, stack, BOTH)
    answer = roll_hosts_back(run, Policy(), to=None, is_confirmed=True)
    Console(width=120).print(answer.draw())
    drawn = capsys.readouterr().out
    assert "rolled back  worker-[0-1] (2 hosts)" in drawn
    assert answer.document()["deployment"] in drawn
