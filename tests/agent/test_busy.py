"""Real processes that map files of a folder, as running jobs map DeepSpeed's libraries."""

from __future__ import annotations

import contextlib
import getpass
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.agent.busy import busy_processes, refuse_busy
from orchestrator.agent.errors import AgentError

pytestmark = pytest.mark.process

MAP = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("mapped", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start_job(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts a process that maps the file of this name, and returns its id."""
    with contextlib.ExitStack() as stack:

        def start(name: str) -> int:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
            argv = [sys.executable, "-c", MAP, str(file)]
            job = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            assert job.stdout
            assert job.stdout.readline() == b"mapped\n"
            return job.pid

        yield start


def test_a_job_that_has_a_library_open_is_found(tmp_path: Path, start_job: Callable[[str], int]) -> None:
    pid = start_job("lib/deepspeed/ops/adam/cpu_adam_op.so")
    (tmp_path / "lib64").symlink_to("lib")
    for platlib in ("lib", "lib64"):
        (job,) = busy_processes(str(tmp_path / platlib))
        assert (job["pid"], job["user"]) == (pid, getpass.getuser())
        assert job["command"].startswith(sys.executable)


@pytest.mark.parametrize("name", ["lib/deepspeed/ops/csrc.txt", "lib/deepspeed2/x.so", "lib/torch/deepspeed/x.so"])
def test_other_files_do_not_count(tmp_path: Path, start_job: Callable[[str], int], name: str) -> None:
    start_job(name)
    assert busy_processes(str(tmp_path / "lib")) == []
    refuse_busy(str(tmp_path / "lib"))


def test_a_library_that_was_replaced_does_not_count(tmp_path: Path, start_job: Callable[[str], int]) -> None:
    start_job("lib/deepspeed/x.so")
    (tmp_path / "lib/deepspeed/x.so").unlink()
    assert busy_processes(str(tmp_path / "lib")) == []


def test_a_refusal_names_some_processes_and_counts_the_rest(tmp_path: Path, start_job: Callable[[str], int]) -> None:
    pids = sorted(start_job("lib/deepspeed/x.so") for _ in range(6))
    with pytest.raises(AgentError, match="and 1 more") as refused:
        refuse_busy(str(tmp_path / "lib"))
    assert refused.value.kind == "install"
    assert [str(pid) in refused.value.message for pid in pids] == [True] * 5 + [False]
    assert "--even-if-busy" in (refused.value.hint or "")
