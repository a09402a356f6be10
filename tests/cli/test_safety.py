"""What the words about failures, canaries and batches mean."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli.options import Safety
from orchestrator.cli.safety import make_policy
from orchestrator.errors import ExitCode, UsageError
from orchestrator.model.deployment import MaxFailures, OnFailure, Policy


def refusal_of(**words: Any) -> UsageError:
    with pytest.raises(UsageError) as error:
        make_policy(Safety(**words))
    assert error.value.exit_code is ExitCode.USAGE
    return error.value


def test_without_a_word_all_hosts_change_at_once_and_all_go_back() -> None:
    assert make_policy(Safety()) == Policy()


def test_every_word_reaches_the_policy() -> None:
    safety = Safety(on_failure="drop-host", max_failures="2", canary=1, batch=4, even_if_busy=True)
    assert make_policy(safety) == Policy(
        on_failure=OnFailure.DROP_HOST, max_failures=MaxFailures(count=2), canary=1, batch=4, even_if_busy=True
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0", MaxFailures(count=0)),
        ("100", MaxFailures(count=100)),
        ("0%", MaxFailures(percent=0.0)),
        ("12.5%", MaxFailures(percent=12.5)),
        ("100%", MaxFailures(percent=100.0)),
    ],
)
def test_so_many_hosts_or_such_a_share_may_fail(text: str, meant: MaxFailures) -> None:
    assert make_policy(Safety(on_failure="drop-host", max_failures=text)).max_failures == meant


@pytest.mark.parametrize(
    "text", ["", "%", "-1", "-1%", "100.1%", "101%", "1.5", "ten", "nan%", "1e1%", " 1", "1 %", "\u0661"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    assert refusal_of(on_failure="drop-host", max_failures=text).message.startswith(f"--max-failures {text}: ")


@pytest.mark.parametrize(
    ("word", "meant"), [("drophost", "drop-host"), ("drop", "drop-host"), ("roll-back", "rollback"), ("keeps", "keep")]
)
def test_an_unknown_policy_is_refused_with_the_one_that_was_meant(word: str, meant: str) -> None:
    error = refusal_of(on_failure=word, max_failures="1")
    assert error.message == f"--on-failure {word}: no such policy; did you mean {meant}?"
    assert error.hint == "there are: rollback, drop-host, keep"


def test_dropping_hosts_wants_to_know_how_many() -> None:
    assert refusal_of(on_failure="drop-host").hint == "say how many: --max-failures 1, or 10%"


@pytest.mark.parametrize("word", ["rollback", "keep"])
def test_failures_are_borne_by_drop_host_only(word: str) -> None:
    error = refusal_of(on_failure=word, max_failures="1")
    assert error.message.startswith("--max-failures 1: ")
    assert error.hint == "it goes with --on-failure drop-host"


@pytest.mark.parametrize(
    ("words", "name"), [({"batch": 0}, "--batch 0"), ({"batch": -3}, "--batch -3"), ({"canary": -1}, "--canary -1")]
)
def test_a_wave_has_a_host(words: dict[str, int], name: str) -> None:
    assert refusal_of(**words).message.startswith(f"{name}: ")


def test_all_faults_are_told_together() -> None:
    error = refusal_of(on_failure="drop-hosts", max_failures="101%", canary=-1, batch=0)
    assert [line.split(":")[0] for line in error.message.splitlines()] == [
        "--on-failure drop-hosts",
        "--max-failures 101%",
        "--canary -1",
        "--batch 0",
    ]
