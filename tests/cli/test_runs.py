"""Planning and deploying as the commands do it, on hosts in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.carrier import FakeCarrier
from fakes.fleet import FakeFleet
from fakes.hosts import SYSTEM, make_facts, with_deepspeed
from fakes.index import FakeIndex
from fakes.wheels import make_manifest, make_wheel
from rich.console import Console

from orchestrator.cli.carrying_out import build_wheels
from orchestrator.cli.deploying import deploy
from orchestrator.cli.options import Building, Output, Targets, Wanted
from orchestrator.cli.plan_files import write_plan
from orchestrator.cli.planned import plan_hosts, plan_saved, plan_wheel_file, plan_without_building
from orchestrator.cli.timings_file import write_timings
from orchestrator.cli.wiring import Run
from orchestrator.errors import ExitCode, HostError, PlanError, UsageError
from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.deployment import Policy
from orchestrator.model.facts import Facts
from orchestrator.model.plan import HostVerdict, WheelVerdict
from orchestrator.model.recipe import BuildStrategy
from orchestrator.model.timings import BuildTimings
from orchestrator.model.wheels import Manifest
from orchestrator.stages.plan import Planned

WANTED = Wanted(recipe="cpu-training")
POLICY = Policy()
HOSTS = ("worker-0", "worker-1")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    (tmp_path / "hostfile").write_text("".join(f"{host} slots=1\n" for host in (*HOSTS, "extra")))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def make_run(tmp_path: Path, stack: ExitStack, *, facts: Facts | None = None, **targets: Any) -> tuple[Run, FakeFleet]:
    options = {"hostfile": tmp_path / "hostfile", "include": "@".join(HOSTS), **targets}
    run = Run(Targets(**options), Output(quiet=True), stack)
    fleet = FakeFleet(dict.fromkeys((*HOSTS, "extra"), facts or make_facts()))
    (tmp_path / "index").mkdir(exist_ok=True)
    run.fleet, run.index, run.carrier = fleet, FakeIndex(tmp_path / "index"), FakeCarrier()
    run.reopen_fleet = lambda: nullcontext(fleet)  # type: ignore[method-assign]
    return run, fleet


def manifest_for(planned: Planned) -> Manifest:
    wheel = planned.plan.wheels[0]
    return make_manifest(build_key=wheel.build_key, signature=wheel.signature)


def stock(run: Run, tmp_path: Path) -> None:
    """Put the wheel that the plan wants into the store."""
    manifest = manifest_for(plan_hosts(run, WANTED, Building()))
    run.store.add(make_wheel(tmp_path, manifest=manifest), manifest)


def verdicts(planned: Planned) -> list[HostVerdict]:
    return [row.verdict for row in planned.plan.hosts]


def test_a_plan_says_what_is_built_for_whom(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    planned = plan_hosts(run, WANTED, Building(builder="worker-1"))
    (wheel,) = planned.plan.wheels
    assert (wheel.verdict, wheel.hosts) == (WheelVerdict.BUILD, HOSTS)
    assert wheel.builder is not None
    assert wheel.builder.host == "worker-1"
    assert fleet.requests == [(host, "facts") for host in HOSTS]


def test_the_strategy_of_the_command_line_beats_the_recipes(tmp_path: Path, stack: ExitStack) -> None:
    run, _ = make_run(tmp_path, stack)
    planned = plan_hosts(run, replace(WANTED, strategy="upstream"), Building())
    assert planned.plan.recipe.strategy is BuildStrategy.UPSTREAM
    with pytest.raises(UsageError, match="sideways"):
        plan_hosts(run, replace(WANTED, strategy="sideways"), Building())


def test_the_interpreter_of_the_command_line_is_asked_about_and_installed_into(
    tmp_path: Path, stack: ExitStack
) -> None:
    run, fleet = make_run(tmp_path, stack, python="/opt/p")
    plan_hosts(run, WANTED, Building())
    assert fleet.remotes["worker-0"].parameters["facts"]["python"] == "/opt/p"
    assert run.pythons(recipe_python="/recipe") == dict.fromkeys(HOSTS, "/opt/p")


def test_a_push_refuses_to_build(tmp_path: Path, stack: ExitStack) -> None:
    run, _ = make_run(tmp_path, stack)
    with pytest.raises(PlanError, match="no wheel is built yet"):
        plan_without_building(run, WANTED)


def test_a_push_takes_the_wheel_of_the_store_and_a_forced_one_installs_it_again(
    tmp_path: Path, stack: ExitStack
) -> None:
    run, fleet = make_run(tmp_path, stack)
    stock(run, tmp_path)
    answer = deploy(run, plan_without_building(run, WANTED), Building(), POLICY, is_confirmed=True)
    assert answer.exit_code is ExitCode.DONE
    remember(fleet)
    assert verdicts(plan_without_building(run, WANTED)) == [HostVerdict.KEEP] * 2
    assert verdicts(plan_without_building(run, replace(WANTED, force=True))) == [HostVerdict.INSTALL] * 2


def remember(fleet: FakeFleet) -> None:
    """Let each host's facts say what was deployed there."""
    for remote in fleet.remotes.values():
        if remote.stamp is not None:
            version, record = remote.stamp["version"], remote.stamp["record_sha256"]
            installed = with_deepspeed(remote.facts, version=version, record_sha256=record)
            document = {**remote.request("facts", {}), "stamp": remote.stamp}
            remote.facts = installed
            remote.answers["facts"] = {**document, "interpreter": remote.request("facts", {})["interpreter"]}


def test_a_second_run_keeps_all_hosts_and_asks_for_facts_only(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    stock(run, tmp_path)
    first = deploy(run, plan_hosts(run, WANTED, Building()), Building(), POLICY, is_confirmed=True)
    assert first.document()["committed"] == list(HOSTS)
    remember(fleet)
    fleet.requests.clear()
    second = deploy(run, plan_hosts(run, WANTED, Building()), Building(), POLICY, is_confirmed=False)
    document = second.document()
    assert (second.exit_code, document["committed"], document["exit_code"]) == (ExitCode.DONE, [], 0)
    assert fleet.requests == [(host, "facts") for host in HOSTS]
    assert document["elapsed_s"] > 0


def test_a_host_that_cannot_be_reached_is_in_the_document_and_in_the_exit_code(
    tmp_path: Path, stack: ExitStack
) -> None:
    run, fleet = make_run(tmp_path, stack)
    fleet.unreachable = HOSTS
    answer = deploy(run, plan_hosts(run, WANTED, Building()), Building(), POLICY, is_confirmed=False)
    assert answer.exit_code is ExitCode.HOST
    document = answer.document()
    assert document["exit_code"] == 3
    assert [failure["host"] for failure in document["failures"]] == list(HOSTS)


def test_a_wheel_file_goes_to_the_hosts_that_it_fits_and_no_others(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    fleet.remotes["worker-1"].facts = make_facts(system=replace(SYSTEM, machine="aarch64"))
    path = make_wheel(tmp_path, manifest=make_manifest())
    planned = plan_wheel_file(run, path, force=False)
    assert verdicts(planned) == [HostVerdict.INSTALL, HostVerdict.REJECT]
    assert "aarch64" in planned.plan.hosts[1].reason
    answer = deploy(run, planned, Building(), POLICY, is_confirmed=True)
    assert (answer.exit_code, answer.document()["committed"]) == (ExitCode.PLAN, ["worker-0"])


def test_a_build_of_what_the_store_holds_asks_nobody_for_more_than_facts(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    stock(run, tmp_path)
    fleet.requests.clear()
    (result,) = build_wheels(run, plan_hosts(run, WANTED, Building()), Building())
    assert (result.state, result.hosts) == (WheelState.STORED, HOSTS)
    assert fleet.requests == [(host, "facts") for host in HOSTS]


def make_built() -> WheelResult:
    manifest = make_manifest()
    timings = BuildTimings(wheel="cp311", cores=2, memory_bytes=1, elapsed_s=61.0)
    return WheelResult(
        signature=manifest.signature,
        build_key=manifest.build_key,
        hosts=HOSTS,
        state=WheelState.BUILT,
        timings=timings,
    )


def test_the_page_of_timings_lies_beside_the_logs(tmp_path: Path, stack: ExitStack) -> None:
    run, _ = make_run(tmp_path, stack)
    path = write_timings(run, [make_built(), replace(make_built(), timings=None)])
    assert path is not None
    assert Path(path).parent == tmp_path / "state/dsdeploy/logs"
    assert "cp311" in Path(path).read_text(encoding="utf-8")


def test_there_is_no_page_when_nothing_was_built(tmp_path: Path, stack: ExitStack, capsys: Capture) -> None:
    run, _ = make_run(tmp_path, stack)
    assert write_timings(run, []) is None
    assert "nothing was built" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_costs_no_wheel(tmp_path: Path, stack: ExitStack, capsys: Capture) -> None:
    run, _ = make_run(tmp_path, stack)
    (tmp_path / "state").write_text("a file where the folder belongs")
    assert write_timings(run, [make_built()]) is None
    assert "cannot be written" in capsys.readouterr().err


def test_a_saved_plan_is_carried_out_as_it_is(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    stock(run, tmp_path)
    write_plan(plan_hosts(run, WANTED, Building()).plan, tmp_path / "plan.json")
    other, fleet = make_run(tmp_path, stack, include="")
    fleet.unreachable = ["extra"]
    planned = plan_saved(other, tmp_path / "plan.json")
    assert verdicts(planned) == [HostVerdict.INSTALL] * 2
    assert planned.rejections == ()
    answer = deploy(other, planned, Building(), POLICY, is_confirmed=True)
    assert answer.document()["committed"] == list(HOSTS)


def test_a_saved_plan_is_refused_when_a_host_changed(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    write_plan(plan_hosts(run, WANTED, Building()).plan, tmp_path / "plan.json")
    fleet.remotes["worker-1"].facts = with_deepspeed(make_facts())
    with pytest.raises(PlanError, match=r"^worker-1 changed"):
        plan_saved(run, tmp_path / "plan.json")


def test_a_saved_plan_waits_for_a_host_that_cannot_be_asked(tmp_path: Path, stack: ExitStack) -> None:
    run, fleet = make_run(tmp_path, stack)
    write_plan(plan_hosts(run, WANTED, Building()).plan, tmp_path / "plan.json")
    fleet.unreachable = ["worker-1"]
    with pytest.raises(HostError, match="worker-1"):
        plan_saved(run, tmp_path / "plan.json")


def test_a_saved_plan_for_hosts_that_were_not_chosen_is_refused_before_any_is_asked(
    tmp_path: Path, stack: ExitStack
) -> None:
    run, _ = make_run(tmp_path, stack)
    write_plan(plan_hosts(run, WANTED, Building()).plan, tmp_path / "plan.json")
    fewer, fleet = make_run(tmp_path, stack, include="worker-0")
    with pytest.raises(UsageError, match="worker-1"):
        plan_saved(fewer, tmp_path / "plan.json")
    assert fleet.requests == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def deploy_unconfirmed(run: Run, tmp_path: Path) -> int:
    stock(run, tmp_path)
    return deploy(run, plan_hosts(run, WANTED, Building()), Building(), POLICY, is_confirmed=False).exit_code


def test_without_a_terminal_nothing_is_changed_unless_yes_was_said(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    run, fleet = make_run(tmp_path, stack)
    with pytest.raises(UsageError) as error:
        deploy_unconfirmed(run, tmp_path)
    assert error.value.hint is not None
    assert "--yes" in error.value.hint
    assert fleet.asked("activate") == []


@pytest.mark.parametrize("said", ["\n", "n\n", "no\n", ""])
def test_anything_but_yes_changes_nothing(
    said: str, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(said))
    run, fleet = make_run(tmp_path, stack)
    with pytest.raises(UsageError, match="nothing was changed"):
        deploy_unconfirmed(run, tmp_path)
    assert fleet.asked("activate") == []


@pytest.mark.parametrize("said", ["y\n", "YES\n"])
def test_a_yes_goes_on_and_the_plan_was_shown_on_stderr(
    said: str,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(said))
    run, fleet = make_run(tmp_path, stack)
    assert deploy_unconfirmed(run, tmp_path) == ExitCode.DONE
    assert fleet.asked("activate") == list(HOSTS)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "worker-[0-1]" in shown.err


def test_a_summary_with_the_matrix_is_drawn_for_people(
    tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = make_run(tmp_path, stack)
    stock(run, tmp_path)
    answer = deploy(run, plan_hosts(run, WANTED, Building()), Building(), POLICY, is_confirmed=True)
    Console(width=120).print(answer.draw())
    drawn = capsys.readouterr().out
    assert "cpu_adam" in drawn
    assert "worker-[0-1]" in drawn
