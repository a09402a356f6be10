"""What a failed step is told as."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from orchestrator.build.failures import build_failure
from orchestrator.errors import BuildError

MISSING_HEADER = """\
$ python build_ops.py op async_io
building 'deepspeed.ops.aio.async_io_op' extension
gcc -fPIC -Icsrc/aio/common -c csrc/aio/common/deepspeed_aio_common.cpp -o objects/x.o -O3
csrc/aio/common/deepspeed_aio_common.cpp:16:10: fatal error: libaio.h: No such file or directory
   16 | #include <libaio.h>
compilation terminated.
Traceback (most recent call last):
  File "build_ops.py", line 50, in <module>
distutils.errors.CompileError: command '/usr/bin/gcc' failed with exit code 1
"""
IN_A_HEADER = """\
gcc -c csrc/adam/cpu_adam.cpp -o objects/x.o
In file included from csrc/adam/cpu_adam.cpp:6:
csrc/includes/cpu_adam.h:14:2: error: #error "no SIMD"
"""
KILLED = """\
gcc -fPIC -c csrc/adam/cpu_adam.cpp -o objects/cpu_adam.o -O3
gcc: fatal error: Killed signal terminated program cc1plus
compilation terminated.
"""
PYTHON = """\
Traceback (most recent call last):
  File "setup.py", line 3, in <module>
    import psutil
ModuleNotFoundError: No module named 'psutil'
cleaning up
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "step.log"


def failure_of(log: Path, text: str, *, returncode: int = 1) -> BuildError:
    log.write_text(text, encoding="utf-8")
    return build_failure("op async_io", returncode, log, host="worker-3")


def test_it_names_the_step_the_host_and_the_log(log: Path) -> None:
    message = failure_of(log, MISSING_HEADER).message
    assert message.startswith("op async_io failed on worker-3: ")
    assert message.endswith(f"log: {log}")


def test_the_compilers_first_error_beats_the_python_around_it(log: Path) -> None:
    message = failure_of(log, MISSING_HEADER).message
    assert "csrc/aio/common/deepspeed_aio_common.cpp:16: libaio.h: No such file or directory" in message
    assert "CompileError" not in message


def test_a_known_failure_brings_its_fix(log: Path) -> None:
    hint = failure_of(log, MISSING_HEADER).hint
    assert hint is not None
    assert "libaio" in hint


def test_an_error_in_a_header_names_the_source_file_too(log: Path) -> None:
    message = failure_of(log, IN_A_HEADER).message
    assert "csrc/includes/cpu_adam.h:14:" in message
    assert "(compiling csrc/adam/cpu_adam.cpp)" in message


def test_a_killed_compiler_names_what_it_compiled(log: Path) -> None:
    assert "(compiling csrc/adam/cpu_adam.cpp)" in failure_of(log, KILLED).message


def test_without_a_compiler_the_exception_is_the_reason(log: Path) -> None:
    assert "ModuleNotFoundError: No module named 'psutil'" in failure_of(log, PYTHON).message


def test_without_any_error_the_last_line_is_the_reason(log: Path) -> None:
    assert "worker-3: out of ideas\n" in failure_of(log, "first\nout of ideas\n\n").message


def test_a_signal_is_told_by_name(log: Path) -> None:
    assert "ended by SIGILL" in failure_of(log, "starting\n", returncode=-signal.SIGILL).message


def test_a_silent_end_tells_its_code(log: Path) -> None:
    assert "ended with 7" in failure_of(log, "", returncode=7).message
