"""Failures as values: told once, with their hosts, and with the right exit code."""

from __future__ import annotations

from orchestrator.errors import ExitCode, HostError, InstallError
from orchestrator.model.outcome import Failure, Outcome, Outcomes, fold_failures, worst_exit_code


def failed(host: str, message: str, code: ExitCode = ExitCode.HOST) -> Outcome[None]:
    return Outcome(host=host, failure=Failure(message=message, exit_code=code))


def test_an_error_becomes_a_value_with_its_hint_and_exit_code() -> None:
    failure = Failure.of(InstallError("disk full", hint="free some"))
    assert failure == Failure(message="disk full", hint="free some", exit_code=ExitCode.INSTALL)


def test_equal_failures_are_told_once_with_all_their_hosts() -> None:
    folded = fold_failures([failed("worker-3", "refused"), failed("worker-7", "refused"), failed("worker-9", "slow")])
    assert [(item.failure.message, item.hosts) for item in folded] == [
        ("refused", ("worker-3", "worker-7")),
        ("slow", ("worker-9",)),
    ]


def test_failures_that_differ_only_in_the_hosts_name_are_equal() -> None:
    (folded,) = fold_failures([failed("worker-3", "worker-3 refused"), failed("worker-7", "worker-7 refused")])
    assert folded.hosts == ("worker-3", "worker-7")
    assert folded.failure.message == "the host refused"


def test_the_failure_of_one_host_keeps_its_name() -> None:
    (folded,) = fold_failures([failed("worker-3", "worker-3 refused")])
    assert folded.failure.message == "worker-3 refused"


def test_different_exit_codes_are_not_folded() -> None:
    outcomes = [failed("a1", "no"), failed("a2", "no", ExitCode.INSTALL)]
    assert len(fold_failures(outcomes)) == 2


def test_the_worst_failure_decides_the_exit_code() -> None:
    failures = [Failure.of(HostError("gone")), Failure.of(InstallError("full"))]
    assert worst_exit_code(failures) is ExitCode.INSTALL
    assert worst_exit_code([]) is ExitCode.DONE


def test_outcomes_keep_order_and_split_values_from_failures() -> None:
    outcomes = Outcomes[int](items=(Outcome(host="a", value=1), Outcome(host="b", failure=Failure(message="no"))))
    assert outcomes.values() == {"a": 1}
    assert [item.host for item in outcomes.failed] == ["b"]
