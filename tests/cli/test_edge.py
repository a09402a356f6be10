from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.errors import run_at_the_edge
from orchestrator.cli.main import main
from orchestrator.errors import (
    BuildError,
    ConfigError,
    ConfigFault,
    DsdeployError,
    ExitCode,
    HostError,
    InstallError,
    LockedError,
    PlanError,
    RollbackError,
    StoppedError,
    StoreError,
    TransferError,
    UsageError,
    VerifyError,
)
from orchestrator.model.outcome import Failure, Outcome

Capture = pytest.CaptureFixture[str]


def raising(error: BaseException) -> Callable[[Sequence[str]], object]:
    def command(_words: Sequence[str]) -> object:
        raise error

    return command


def returning(answer: object) -> Callable[[Sequence[str]], object]:
    return lambda _words: answer


def make_answer(*failures: tuple[str, ExitCode], otherwise: ExitCode = ExitCode.DONE) -> Answer:
    outcomes: list[Outcome[object]] = [
        Outcome(host=host, failure=Failure(message="no", exit_code=code)) for host, code in failures
    ]
    return Answer(document=lambda: {"schema": "x/1"}, draw=lambda: "drawn", failures=outcomes, otherwise=otherwise)


def exit_code_of(*words: str) -> object:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code


def error_in(stdout: str) -> dict[str, Any]:
    document = json.loads(stdout)
    assert document["schema"] == "dsdeploy.error/1"
    error: dict[str, Any] = document["error"]
    return error


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        (UsageError, 2, "usage"),
        (HostError, 3, "host"),
        (PlanError, 4, "plan"),
        (BuildError, 5, "build"),
        (StoreError, 6, "transfer"),
        (TransferError, 6, "transfer"),
        (InstallError, 7, "install"),
        (LockedError, 6, "transfer"),
        (VerifyError, 8, "verify"),
        (RollbackError, 9, "rollback"),
        (StoppedError, 130, "interrupted"),
    ],
)
def test_every_error_has_its_exit_code_its_text_and_its_document(
    kind: type[DsdeployError], code: int, word: str, capsys: Capture
) -> None:
    error = kind("worker-0: no\nbecause", hint="do this")
    assert run_at_the_edge(raising(error), ["--json"]) == code
    said = capsys.readouterr()
    assert said.err == "error: worker-0: no\n       because\n  hint: do this\n"
    assert error_in(said.out) == {
        "kind": word,
        "message": "worker-0: no\nbecause",
        "hint": "do this",
        "exit_code": code,
    }


def test_without_json_an_error_leaves_stdout_alone(capsys: Capture) -> None:
    assert run_at_the_edge(raising(HostError("lost")), []) is ExitCode.HOST
    assert capsys.readouterr() == ("", "error: lost\n")


def test_all_faults_of_a_file_are_told(capsys: Capture) -> None:
    faults = tuple(ConfigFault(source="hostfile", line=line, message="bad") for line in (3, 7))
    assert run_at_the_edge(raising(ConfigError(faults)), []) is ExitCode.USAGE
    assert capsys.readouterr().err.splitlines() == ["error: hostfile:3: bad", "       hostfile:7: bad"]


def test_a_bug_shows_its_traceback_and_asks_for_a_report(capsys: Capture) -> None:
    assert run_at_the_edge(raising(ZeroDivisionError("seven")), ["--json"]) is ExitCode.BUG
    said = capsys.readouterr()
    assert "Traceback" in said.err
    assert "ZeroDivisionError: seven" in said.err
    assert "please report" in said.err
    assert error_in(said.out)["exit_code"] == 1


@pytest.mark.parametrize("stop", [raising(KeyboardInterrupt()), raising(typer.Abort()), returning(130)])
def test_a_stop_is_told_however_typer_passes_it_on(stop: Callable[[Sequence[str]], object], capsys: Capture) -> None:
    assert run_at_the_edge(stop, ["--json"]) is ExitCode.INTERRUPTED
    said = capsys.readouterr()
    assert said.err == "error: interrupted\n"
    assert error_in(said.out)["kind"] == "interrupted"


def test_an_interrupt_inside_a_typer_command_is_told(capsys: Capture) -> None:
    app = typer.Typer()

    @app.command()
    def only() -> None:
        raise KeyboardInterrupt

    assert run_at_the_edge(lambda words: app(list(words), standalone_mode=False), []) is ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "error: interrupted\n"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (make_answer(), ExitCode.DONE),
        (make_answer(otherwise=ExitCode.PENDING), ExitCode.PENDING),
        (make_answer(("a", ExitCode.HOST), otherwise=ExitCode.PENDING), ExitCode.HOST),
        (make_answer(("a", ExitCode.VERIFY), ("b", ExitCode.HOST)), ExitCode.VERIFY),
    ],
)
def test_an_answers_exit_code_is_the_worst_failures(answer: Answer, code: ExitCode) -> None:
    assert run_at_the_edge(returning(answer), []) is code


def test_an_answer_is_one_document_or_one_drawing_and_failures_go_to_stderr(capsys: Capture) -> None:
    answer = make_answer(("worker-0", ExitCode.HOST), ("worker-1", ExitCode.HOST))
    run_at_the_edge(returning(answer), ["--json"])
    said = capsys.readouterr()
    assert json.loads(said.out) == {"schema": "x/1"}
    assert said.err.count("worker-[0-1]: no") == 1
    run_at_the_edge(returning(answer), [])
    said = capsys.readouterr()
    assert said.out == "drawn\n"
    assert said.err.count("worker-[0-1]: no") == 1


def test_a_document_that_cannot_be_made_leaves_only_the_error_on_stdout(capsys: Capture) -> None:
    answer = Answer(document=lambda: {"schema": 1 // 0}, draw=lambda: "drawn")
    assert run_at_the_edge(returning(answer), ["--json"]) is ExitCode.BUG
    assert error_in(capsys.readouterr().out)["kind"] == "bug"


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        (("nonsense",), "No such command 'nonsense'.", "dsdeploy --help"),
        (("provision", "--nonsense"), "No such option: --nonsense", "dsdeploy provision --help"),
        (("store", "show"), "Missing argument 'SHA256'.", "dsdeploy store show --help"),
        (("plan", "--hostfile"), "Option '--hostfile' requires an argument.", "dsdeploy --help"),
    ],
)
def test_words_that_do_not_parse_are_exit_2_with_the_commands_help_as_hint(
    words: tuple[str, ...], text: str, hint: str, capsys: Capture
) -> None:
    assert exit_code_of(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0].endswith(text)
    assert said.err.splitlines()[-1].endswith(f"hint: {hint}")


def test_words_that_do_not_parse_are_a_document_too(capsys: Capture) -> None:
    assert exit_code_of("provision", "--nonsense", "--json") == 2
    assert error_in(capsys.readouterr().out)["kind"] == "usage"


@pytest.mark.parametrize("words", [(), ("store",), ("recipe",)])
def test_no_command_shows_the_commands(words: tuple[str, ...], capsys: Capture) -> None:
    assert exit_code_of(*words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Usage: ")
    assert "Commands:" in said.err
    assert "error:" not in said.err


def test_the_version_is_told(capsys: Capture) -> None:
    assert exit_code_of("--version") == 0
    name, version = capsys.readouterr().out.split()
    assert name == "dsdeploy"
    assert version[0].isdigit()


@pytest.mark.process
@pytest.mark.parametrize("words", [["recipe", "list"], ["recipe", "list", "--json"]])
def test_a_reader_that_goes_away_changes_nothing(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", *words]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
