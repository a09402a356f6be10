"""Running programs line by line."""

from __future__ import annotations

import os
import sys

import pytest

from orchestrator.errors import TransferError
from orchestrator.index.processes import run


def test_both_streams_are_told_line_by_line() -> None:
    told: list[str] = []
    source = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    finished = run([sys.executable, "-c", source], environ=os.environ, on_line=told.append)
    assert (finished.returncode, finished.lines) == (3, ("out", "err"))
    assert told == ["out", "err"]


def test_a_program_that_there_is_not_is_told() -> None:
    with pytest.raises(TransferError, match="no-such-program is not installed here"):
        run(["no-such-program"], environ=os.environ, on_line=print)


def test_an_interrupted_program_does_not_stay() -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    source = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", source], environ=os.environ, on_line=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_the_environment_is_exactly_what_was_given() -> None:
    finished = run(["/usr/bin/env"], environ={"ONLY": "this"}, on_line=lambda _line: None)
    assert finished.lines == ("ONLY=this",)
