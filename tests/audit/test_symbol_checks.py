"""Asking hosts for symbols before anything is sent: who is asked, for what, and what is told."""

from __future__ import annotations

from dataclasses import replace

from fakes.contents import make_contents, make_library
from fakes.fleet import FakeFleet
from fakes.hosts import make_facts
from fakes.wheels import make_manifest

from orchestrator.errors import ExitCode, HostError
from orchestrator.model.audit import WheelContents
from orchestrator.model.facts import Facts
from orchestrator.stages.audit import SymbolQuestion, check_symbols, find_missing_symbols

ERROR, ZEROS = "_ZN3c105ErrorC1ENS_14SourceLocationESs", "_ZN2at4_ops5zeros4callEv"
CONTENTS = make_contents(make_library(torch_symbols=(ERROR, ZEROS)), make_library(torch_symbols=(ERROR,)))


def ask(*hosts: str, contents: WheelContents = CONTENTS, facts: Facts | None = None) -> dict[str, SymbolQuestion]:
    facts = facts or make_facts()
    return {host: SymbolQuestion(contents=contents, python="/opt/python", facts=facts) for host in hosts}


def make_fleet(*hosts: str, **missing: dict[str, list[str]]) -> FakeFleet:
    """Hosts whose torch lacks these symbols."""
    fleet = FakeFleet({host: make_facts() for host in hosts})
    for host, remote in fleet.remotes.items():
        remote.answers["symbols"] = {"missing": missing.get(host, {})}
    return fleet


def test_each_symbol_is_asked_for_once_by_the_library_where_it_belongs() -> None:
    fleet = make_fleet("a", "b")
    assert check_symbols(ask("a", "b"), fleet) == ()
    assert fleet.requests == [("a", "symbols"), ("b", "symbols")]
    assert fleet.remotes["a"].parameters["symbols"] == {
        "python": "/opt/python",
        "symbols": {"libtorch_cpu.so": [ZEROS], "libc10.so": [ERROR]},
    }


def test_a_wheel_that_needs_nothing_of_torch_asks_nobody() -> None:
    fleet = make_fleet("a")
    assert check_symbols(ask("a", contents=make_contents(make_library())), fleet) == ()
    assert fleet.requests == []


def test_a_host_without_torch_is_not_asked() -> None:
    facts = make_facts()
    assert facts.interpreter
    facts = replace(facts, interpreter=replace(facts.interpreter, torch=None))
    fleet = make_fleet("a")
    assert check_symbols(ask("a", facts=facts), fleet) == ()
    assert fleet.requests == []


def test_a_miss_is_a_failure_of_its_host_with_both_versions() -> None:
    contents = replace(CONTENTS, torch={"version": "2.11"})
    fleet = make_fleet("a", "b", b={"libc10.so": [ERROR]})
    (outcome,) = check_symbols(ask("a", "b", contents=contents), fleet)
    assert outcome.host == "b"
    assert outcome.failure
    assert outcome.failure.exit_code is ExitCode.PLAN
    assert outcome.failure.message == (
        f"b: {contents.filename} cannot work there: c10::Error::Error [{ERROR}] not exported by the host's libc10.so "
        "(torch 2.13.0+cpu vs 2.11)"
    )


def test_the_manifest_knows_the_version_best() -> None:
    contents = replace(CONTENTS, torch={"version": "2.11"}, manifest=make_manifest())
    fleet = make_fleet("a", a={"libtorch_cpu.so": [ZEROS]})
    (outcome,) = check_symbols(ask("a", contents=contents), fleet)
    assert outcome.failure
    assert outcome.failure.message.endswith("libtorch_cpu.so (torch 2.13.0+cpu vs 2.13.0+cpu)")


def test_of_many_misses_some_are_told() -> None:
    names = [f"_ZN3c10{number}f{number}Ev" for number in range(1, 9)]
    (outcome,) = check_symbols(ask("a"), make_fleet("a", a={"libc10.so": names}))
    assert outcome.failure
    assert "and 5 more not exported" in outcome.failure.message


def test_a_torch_that_could_not_be_looked_at_refuses_nothing_and_is_warned_of() -> None:
    fleet = make_fleet("a")
    fleet.remotes["a"].answers["symbols"] = {"missing": {}, "unread": "there is no libc10.so in /usr/lib"}
    assert check_symbols(ask("a"), fleet) == ()
    (warning,) = find_missing_symbols(ask("a")["a"], fleet.remote("a"))
    assert warning.is_warning
    assert warning.evidence == "its symbols of torch were not compared: there is no libc10.so in /usr/lib"


def test_a_host_that_cannot_be_asked_is_left_to_the_next_step() -> None:
    fleet = make_fleet("a", "b")
    fleet.remotes["a"].errors["symbols"] = HostError("a: torch/lib: Permission denied")
    fleet.remotes["b"].answers["symbols"] = {"missing": ["?"]}
    assert check_symbols(ask("a", "b"), fleet) == ()
