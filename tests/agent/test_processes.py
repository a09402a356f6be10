from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from orchestrator.agent.errors import AgentError
from orchestrator.agent.processes import Children, Ended, capture, how_it_ended

pytestmark = pytest.mark.process


def end_while_it_waits(fifo: Path, *, grace_s: float) -> Ended:
    """Run a program that ends when something is written to `fifo`, and end its request before that."""
    os.mkfifo(fifo)
    children = Children()
    is_up = threading.Event()
    ended: list[Ended] = []

    def run() -> None:
        script = f"echo up; read line < {fifo}"
        ended.append(children.run(["sh", "-c", script], on_line=lambda _: is_up.set(), grace_s=grace_s))

    threads = [threading.Thread(target=run), threading.Thread(target=children.end)]
    threads[0].start()
    assert is_up.wait(30)
    threads[1].start()
    if grace_s:
        fifo.write_text("go on\n")
    for thread in threads:
        thread.join(30)
    return ended[0]


def test_what_must_not_be_cut_in_half_may_finish(tmp_path: Path) -> None:
    assert end_while_it_waits(tmp_path / "fifo", grace_s=30.0).returncode == 0


def test_everything_else_is_killed_at_once(tmp_path: Path) -> None:
    assert end_while_it_waits(tmp_path / "fifo", grace_s=0.0).returncode == -signal.SIGKILL


def test_a_grace_ends_too(tmp_path: Path) -> None:
    children = Children()
    is_up = threading.Event()
    ended: list[Ended] = []
    argv = ["sh", "-c", "echo up; exec sleep 600"]
    runner = threading.Thread(
        target=lambda: ended.append(children.run(argv, on_line=lambda _: is_up.set(), grace_s=0.1))
    )
    runner.start()
    assert is_up.wait(30)
    children.end()
    runner.join(30)
    assert ended[0].returncode == -signal.SIGKILL


def test_nothing_starts_once_ended() -> None:
    children = Children()
    children.end()
    with pytest.raises(AgentError, match="cancelled"):
        capture(children, ["true"], 1.0)


def test_a_program_that_hangs_is_told_with_its_limit() -> None:
    with pytest.raises(AgentError, match=r"within 0\.1 s"):
        capture(Children(), ["sleep", "600"], 0.1)


def test_bytes_that_are_no_text_do_not_stop_a_program() -> None:
    assert capture(Children(), ["printf", r"\377ok\n"], 10.0).endswith("ok")


def test_the_end_has_words() -> None:
    assert how_it_ended(3) == "ended with 3"
    assert how_it_ended(-signal.SIGILL) == "was ended by SIGILL"
    assert how_it_ended(-64) == "was ended by SIGRTMAX"
    assert how_it_ended(-100) == "was ended by signal 100"
