"""What stops a run, and what does not: signals, and terminals that die. Each run is a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.signals import stopped_by_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

CLEANING_UP = """
import os, signal, sys
from orchestrator.cli.errors import run_at_the_edge

def say(word):
    os.write(1, word.encode() + b"\\n")

def work(words):
    try:
        say("working")
        signal.pause()
    finally:
        say("cleaning up")
        while sys.stdin.readline() == "go on\\n":
            say("still cleaning up")
        say("clean")

sys.exit(run_at_the_edge(work, []))
"""

DRAWING = """
import os, sys
from orchestrator.cli.answer import Answer
from orchestrator.cli.errors import run_at_the_edge
from orchestrator.errors import ExitCode, HostError
from orchestrator.model.events import HostFinished, Note, Stage, StageFinished, StageStarted
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.report.console import ConsoleReporter, ErrorConsole

words, answers = os.fdopen(int(sys.argv[1])), int(sys.argv[2])

def say(word):
    os.write(answers, word.encode() + b"\\n")

def work(_):
    with ConsoleReporter(ErrorConsole()) as reporter:
        reporter.emit(StageStarted(stage=Stage.ACTIVATE, total=500))
        say("working")
        words.readline()
        for number in range(500):
            reporter.emit(HostFinished(stage=Stage.ACTIVATE, host=f"worker-{number}", is_ok=False, text="x" * 200))
            reporter.emit(Note(text="y" * 200))
        reporter.emit(StageFinished(stage=Stage.ACTIVATE, elapsed_s=1.0))
    say("worked")
    if sys.argv[3] == "raise":
        raise HostError("z" * 9000)
    failure = Failure(message="z" * 9000, exit_code=ExitCode.HOST)
    return Answer(
        document=lambda: {"schema": "x" * 9000},
        draw=lambda: "x" * 9000,
        failures=[Outcome(host="worker-0", failure=failure)],
    )

code = run_at_the_edge(work, sys.argv[4:])
say(f"ended with {code.value}")
sys.exit(code)
"""


class Running:
    """A program that says on its standard output how far it is, and is told to go on by its standard input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self.heard() == "working"

    def heard(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip()

    def stop(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def go_on(self) -> str:
        """Let it clean up a little more, and return what it says then."""
        assert self._process.stdin is not None
        self._process.stdin.write("go on\n")
        return self.heard()

    def end(self) -> tuple[str, int, str]:
        """Let it come to its end: what it still says, its exit code, and its standard error."""
        stdout, stderr = self._process.communicate(timeout=60)
        return stdout.strip(), self._process.returncode, stderr


@contextlib.contextmanager
def ignoring(*numbers: signal.Signals) -> Iterator[None]:
    """Let programs that are started meanwhile ignore these signals."""
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, action in zip(numbers, before, strict=True):
            signal.signal(number, action)


@pytest.fixture
def running() -> Iterator[Running]:
    with cleaning_up() as opened:
        yield opened


@contextlib.contextmanager
def cleaning_up(*ignored: signal.Signals) -> Iterator[Running]:
    """Start the program that cleans up when it is stopped."""
    with ignoring(*ignored):
        process = subprocess.Popen(
            [sys.executable, "-c", CLEANING_UP],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
    with process:
        try:
            yield Running(process)
        finally:
            process.kill()


@pytest.mark.process
@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_lets_the_run_clean_up_and_ends_it_with_130(running: Running, number: signal.Signals) -> None:
    running.stop(number)
    assert running.heard() == "cleaning up"
    assert running.end() == ("clean", 130, "error: interrupted\n")


@pytest.mark.process
@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_does_not_disturb_the_cleaning_up(
    running: Running, first: signal.Signals, second: signal.Signals
) -> None:
    running.stop(first)
    assert running.heard() == "cleaning up"
    running.stop(second)
    assert running.go_on() == "still cleaning up"
    assert running.end() == ("clean", 130, "error: interrupted\n")


@pytest.mark.process
@pytest.mark.parametrize("first", SIGNALS)
def test_ctrl_c_while_it_cleans_up_ends_that_at_once(running: Running, first: signal.Signals) -> None:
    running.stop(first)
    assert running.heard() == "cleaning up"
    running.stop(signal.SIGINT)
    assert running.end() == ("", 130, "error: interrupted\n")


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_was_ignored_at_the_start_stays_ignored(number: signal.Signals) -> None:
    with cleaning_up(number) as running:
        running.stop(number)
        running.stop(signal.SIGTERM)
        assert running.heard() == "cleaning up"
        running.stop(number)
        assert running.go_on() == "still cleaning up"
        assert running.end() == ("clean", 130, "error: interrupted\n")


def test_what_a_signal_did_before_it_does_again_afterwards() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stopped_by_signals():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


@contextlib.contextmanager
def on_a_terminal(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Iterator[str], int]]:
    """Start the drawing program in a session of its own, on a terminal of its own.

    Yields it, the terminal's other end, the lines that it says beside, and where it is told to go on.
    """
    terminal, its_terminal = os.openpty()
    its_words, telling = os.pipe()
    hearing, its_answers = os.pipe()
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-c", DRAWING, str(its_words), str(its_answers), *words],
        stdin=its_terminal, stdout=its_terminal, stderr=its_terminal, pass_fds=(its_words, its_answers),
        env=os.environ | {"TERM": "xterm-256color"},
    )  # fmt: skip
    for descriptor in (its_terminal, its_words, its_answers):
        os.close(descriptor)
    try:
        with os.fdopen(hearing) as lines:
            assert next(lines) == "working\n"
            yield process, terminal, lines, telling
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


@pytest.mark.process
@pytest.mark.parametrize("way", ["raise", "answer"])
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_run_without_hangups_goes_on_to_its_end_when_its_terminal_dies(way: str, words: list[str]) -> None:
    """As `nohup` would run it."""
    with ignoring(signal.SIGHUP), on_a_terminal(way, *words) as (process, terminal, lines, telling):
        os.close(terminal)
        os.write(telling, b"go on\n")
        os.close(telling)
        assert list(lines) == ["worked\n", "ended with 3\n"]
    assert process.returncode == 3


@pytest.mark.process
def test_a_dying_terminal_stops_a_run_as_ctrl_c_does() -> None:
    with on_a_terminal("answer") as (process, terminal, lines, telling):
        os.close(terminal)
        assert list(lines) == ["ended with 130\n"]
        os.close(telling)
    assert process.returncode == 130


@pytest.mark.process
def test_a_full_disk_under_the_errors_changes_no_exit_code() -> None:
    program = DRAWING.replace("int(sys.argv[1])", "0").replace("int(sys.argv[2])", "1")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", program, "", "", "raise"],
            input=b"go on\n", stdout=subprocess.PIPE, stderr=full, check=False, timeout=60,
        )  # fmt: skip
    assert ended.stdout.splitlines() == [b"working", b"worked", b"ended with 3"]
    assert ended.returncode == 3


@pytest.mark.process
def test_a_closed_standard_error_changes_no_exit_code() -> None:
    program = DRAWING.replace("int(sys.argv[1])", "0").replace("int(sys.argv[2])", "1")
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program, "", "", "raise"],
        input=b"go on\n", stdout=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    assert ended.stdout.splitlines() == [b"working", b"worked", b"ended with 3"]
    assert ended.returncode == 3
