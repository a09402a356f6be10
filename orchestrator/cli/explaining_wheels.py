"""Explain a wheel: what its files show, and with a hostfile what it is to each host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.audit.verdicts import judge
from orchestrator.audit.wheels import read_wheel
from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets
from orchestrator.cli.wiring import Run, open_run
from orchestrator.errors import ExitCode
from orchestrator.model.audit import FitVerdict, Misfit, WheelContents
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Outcome, Outcomes
from orchestrator.ports import Remote
from orchestrator.report.documents import explain_wheel_document
from orchestrator.report.tables.contents import wheel_contents
from orchestrator.stages.audit import SymbolQuestion, find_missing_symbols


def explain_wheel(path: Path) -> Answer:
    """Answer what is in a wheel. Raises StoreError when it is none, or is damaged."""
    return _answer(read_wheel(path), {})


def explain_wheel_on_hosts(path: Path, targets: Targets, output: Output) -> Answer:
    """Answer what a wheel is to each of the hosts; the exit code says whether it could work on all of them.

    Nothing is sent and nothing is changed. Raises StoreError as `explain_wheel` does, and what opening a run raises.
    """
    contents = read_wheel(path)
    with open_run(targets, output) as run:
        outcomes = run.probe(run.hosts, recipe_python=None)
        missing = _ask_for_symbols(run, contents, outcomes.values())
    found = missing.values()
    verdicts = {
        host: judge(contents, facts).with_more(found.get(host, ())) for host, facts in outcomes.values().items()
    }
    return _answer(contents, verdicts, (*outcomes.failed, *missing.failed))


def _ask_for_symbols(run: Run, contents: WheelContents, facts: Mapping[str, Facts]) -> Outcomes[tuple[Misfit, ...]]:
    pythons = run.pythons(recipe_python=None)

    def ask(remote: Remote) -> tuple[Misfit, ...]:
        question = SymbolQuestion(contents=contents, python=pythons[remote.host], facts=facts[remote.host])
        return find_missing_symbols(question, remote)

    return run.fleet.each(list(facts), ask)


def _answer(
    contents: WheelContents, verdicts: Mapping[str, FitVerdict], failures: Sequence[Outcome[object]] = ()
) -> Answer:
    fits = all(verdict.fits for verdict in verdicts.values())
    return Answer(
        document=lambda: explain_wheel_document(contents, verdicts, failures),
        draw=lambda: wheel_contents(contents, verdicts),
        failures=failures,
        otherwise=ExitCode.DONE if fits else ExitCode.PLAN,
    )
