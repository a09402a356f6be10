from __future__ import annotations

from orchestrator.errors import ExitCode
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.stages.explaining import explain_failures

OTHER_TORCH = "worker-0: cpu_adam: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jRKSs"


def explained(message: str, code: ExitCode, hint: str | None = None) -> Failure:
    outcome: Outcome[object] = Outcome(host="worker-0", failure=Failure(message=message, hint=hint, exit_code=code))
    (found,) = explain_failures([outcome])
    assert found.failure is not None
    return found.failure


def test_a_known_failure_says_why_and_what_to_do() -> None:
    failure = explained(OTHER_TORCH, ExitCode.VERIFY, "look")
    assert failure.message.startswith(OTHER_TORCH + "\n")
    assert (failure.hint or "").startswith("look\n")
    assert failure.exit_code is ExitCode.VERIFY


def test_an_unknown_one_stays_as_it_is() -> None:
    failure = explained("worker-0: something new", ExitCode.INSTALL, "look")
    assert (failure.message, failure.hint) == ("worker-0: something new", "look")


def test_what_we_say_ourselves_is_not_explained_again() -> None:
    assert explained(OTHER_TORCH, ExitCode.HOST).message == OTHER_TORCH


def test_equal_words_are_looked_up_once() -> None:
    asked: list[str] = []
    failure = Failure(message="the same", exit_code=ExitCode.INSTALL)
    outcomes: list[Outcome[object]] = [Outcome(host=host, failure=failure) for host in ("a", "b")]
    assert len(list(explain_failures([*outcomes, Outcome(host="c", value=1)], find_cause=asked.append))) == 3
    assert asked == ["the same"]
