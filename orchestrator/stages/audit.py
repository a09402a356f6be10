"""Ask hosts, before anything is sent, whether their torch exports what a wheel needs of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.audit.torch_symbols import demangle, library_of
from orchestrator.errors import ExitCode, PlanError
from orchestrator.model.audit import Aspect, Misfit, WheelContents
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Outcome
from orchestrator.ports import Fleet, Remote
from orchestrator.stages.answers import read_answer

_TIMEOUT_S = 60.0
_MOST_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolQuestion:
    """One wheel, and the interpreter of a host that it is for."""

    contents: WheelContents
    python: str
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSymbols:
    """An agent's answer: the names that no library of its torch exports, by the library where each belongs."""

    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: str | None = None
    """Why its torch could not be looked at; nothing is missing then."""


def check_symbols(questions: Mapping[str, SymbolQuestion], fleet: Fleet) -> tuple[Outcome[object], ...]:
    """Return as failures the hosts (keys) whose torch lacks symbols of their wheel.

    Hosts that cannot be asked are not among them: the next step meets them, and knows what is to be done about it. It
    takes one round trip a host, and none where the wheel needs nothing of torch. A torch whose libraries are not
    found refuses nothing: every op is loaded there before anything is committed.
    """

    def check(remote: Remote) -> None:
        question = questions[remote.host]
        misfits = find_missing_symbols(question, remote)
        evidence = "; ".join(misfit.evidence for misfit in misfits if not misfit.is_warning)
        if evidence:
            raise PlanError(f"{remote.host}: {question.contents.filename} cannot work there: {evidence}")

    asked = [host for host, question in questions.items() if question.contents.torch_symbols]
    failed = fleet.each(asked, check).failed
    return tuple(outcome for outcome in failed if outcome.failure and outcome.failure.exit_code is ExitCode.PLAN)


def find_missing_symbols(question: SymbolQuestion, remote: Remote) -> tuple[Misfit, ...]:
    """Return a misfit for each library of a host's torch that should export what the wheel needs, and does not.

    Where that torch could not be looked at, it is one warning. Raises HostError when the host cannot say.
    """
    torch = question.facts.interpreter.torch if question.facts.interpreter else None
    if torch is None or not question.contents.torch_symbols:
        return ()
    parameters = {"python": question.python, "symbols": _by_library(question.contents.torch_symbols)}
    answer = read_answer(MissingSymbols, remote.request("symbols", parameters, timeout_s=_TIMEOUT_S), remote)
    if answer.unread:
        evidence = f"its symbols of torch were not compared: {answer.unread}"
        return (Misfit(aspect=Aspect.SYMBOL, evidence=evidence, is_warning=True),)
    built_for = _torch_of(question.contents)
    versions = f"torch {torch.version}" + (f" vs {built_for}" if built_for else "")
    return tuple(
        Misfit(aspect=Aspect.SYMBOL, evidence=f"{_told(names)} not exported by the host's {library} ({versions})")
        for library, names in answer.missing.items()
    )


def _by_library(symbols: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for symbol in symbols:
        found.setdefault(library_of(symbol), []).append(symbol)
    return found


def _torch_of(contents: WheelContents) -> str | None:
    """Return the torch that a wheel says to be built for."""
    return contents.manifest.signature.torch_version if contents.manifest else contents.torch.get("version")


def _told(symbols: tuple[str, ...]) -> str:
    told = [
        symbol if demangle(symbol) == symbol else f"{demangle(symbol)} [{symbol}]" for symbol in symbols[:_MOST_TOLD]
    ]
    more = f" and {len(symbols) - _MOST_TOLD} more" if len(symbols) > _MOST_TOLD else ""
    return ", ".join(told) + more
