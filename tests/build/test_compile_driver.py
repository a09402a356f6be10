"""What one compiler run tells of itself: its output, its cost, whether it was killed, and nvcc's stages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.build.steps import DRIVERS

pytestmark = pytest.mark.process

STOP = "build/stop"
KEEP = "build/keep"
TIMES = """\
source file name , phase name , phase input files , phase output file , arch , tool, metric , unit
csrc/a.cu , gcc (preprocessing 4) , csrc/a.cu  , build/keep/a.cpp4.ii ,  , nvcc , 767.7780 , ms
csrc/a.cu , cicc ,  build/keep/a.cpp1.ii  , build/keep/a.ptx , compute_90 , nvcc , 2885.5120 , ms
csrc/a.cu , ptxas , build/keep/a.ptx  , build/keep/a.cubin , sm_90 , nvcc , 148.9620 , ms
 , nvcc (driver) ,  , a.o ,  , nvcc , 0.4971 , ms
"""


@dataclass(frozen=True)
class Tree:
    """A folder in which commands run."""

    root: Path

    def start(self, *command: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-I", "-S", str(DRIVERS / "compile.py"), STOP, KEEP, *command]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=self.root, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def compile(self, *command: str) -> tuple[int, str, Any]:
        """Return the exit code, what was said, and the result."""
        process = self.start(*command)
        out, err = process.communicate()
        assert err == ""
        said, _, result = out.rpartition("\ndsdeploy-result ")
        return process.returncode, said, json.loads(result)

    def write(self, name: str, text: str) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return name

    def program(self, name: str, script: str) -> str:
        return "./" + self.write(name, f"#!/bin/sh\n{script}\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_compiler_makes_its_object_in_a_folder_that_was_not_there(tree: Tree) -> None:
    source = tree.write("a.cpp", "int one() { return 1; }\n")
    code, said, result = tree.compile("g++", "-c", source, "-o", "build/objects/a.o")
    assert (code, said) == (0, "")
    assert (tree.root / "build/objects/a.o").read_bytes()[:4] == b"\x7fELF"
    assert result["returncode"] == 0
    assert result["is_killed"] is False
    assert result["stages"] == []
    assert 0 < result["cpu_s"] < 60
    assert 10_000_000 < result["peak_memory_bytes"] < 2_000_000_000


def test_an_error_is_passed_on_with_its_exit_code(tree: Tree) -> None:
    source = tree.write("a.cpp", "int one() { return 1 }\n")
    code, said, result = tree.compile("g++", "-c", source, "-o", "a.o")
    assert code == result["returncode"] == 1
    assert "a.cpp:1:21: error: expected ';' before '}' token" in said.splitlines()
    assert result["is_killed"] is False


def test_a_compiler_that_is_not_there_is_told(tree: Tree) -> None:
    code, said, result = tree.compile("./no-such-compiler", "-c", "a.cpp", "-o", "a.o")
    assert (code, said.strip(), result["is_killed"]) == (127, "./no-such-compiler: No such file or directory", False)


def test_the_time_of_grandchildren_counts(tree: Tree) -> None:
    _, _, result = tree.compile("sh", "-c", 'sh -c "i=0; while [ \\$i -lt 100000 ]; do i=\\$((i+1)); done"; true')
    assert result["cpu_s"] > 0.01


def test_a_killed_cc1plus_is_told(tree: Tree) -> None:
    tree.program("tools/cc1plus", "kill -9 $$")
    source = tree.write("a.cpp", "")
    code, said, result = tree.compile("g++", "-B", "tools/", "-c", source, "-o", "a.o")
    assert code == 1
    assert "Killed signal terminated program cc1plus" in said
    assert result["is_killed"] is True


def test_a_killed_linker_is_told(tree: Tree) -> None:
    tree.program("tools/ld", "kill -9 $$")
    source = tree.write("a.cpp", "int main() {}\n")
    code, _, result = tree.compile("g++", "-B", "tools/", source, "-o", "a")
    assert code == 1
    assert result["is_killed"] is True


def test_a_killed_inner_program_of_nvcc_is_told(tree: Tree) -> None:
    nvcc = tree.program("nvcc", "echo \"nvcc error   : 'cicc' died due to signal 9 (Kill signal)\" >&2; exit 9")
    code, _, result = tree.compile(nvcc, "-c", "a.cu", "-o", "a.o")
    assert code == 9
    assert result["is_killed"] is True


@pytest.mark.parametrize("script", ["kill -9 $$", "exit 137"])
def test_a_command_that_is_killed_itself_is_told(tree: Tree, script: str) -> None:
    code, _, result = tree.compile("sh", "-c", script)
    assert code == 137
    assert result["is_killed"] is True


def test_another_signal_is_no_want_of_memory(tree: Tree) -> None:
    code, _, result = tree.compile("sh", "-c", "kill -SEGV $$")
    assert code == 128 + signal.SIGSEGV
    assert result["returncode"] == -signal.SIGSEGV
    assert result["is_killed"] is False


def test_both_streams_are_passed_on_in_order_and_bytes_as_they_are(tree: Tree) -> None:
    command = ["sh", "-c", "echo one; echo two >&2; printf '\\377'"]
    argv = [sys.executable, "-I", "-S", str(DRIVERS / "compile.py"), STOP, KEEP, *command]
    assert subprocess.check_output(argv, cwd=tree.root).startswith(b"one\ntwo\n\xff\ndsdeploy-result {")


def test_output_comes_while_the_command_runs(tree: Tree) -> None:
    os.mkfifo(tree.root / "gate")
    process = tree.start("sh", "-c", "echo started; read word < gate; echo $word")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    (tree.root / "gate").write_text("ended\n", encoding="utf-8")
    assert process.communicate()[0].startswith("ended\n")


def test_compilers_speak_english(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert tree.compile("sh", "-c", "echo $LC_ALL")[1] == "C\n"


@pytest.mark.parametrize("before", [(), ("./ccache",)])
def test_nvcc_is_told_where_its_files_go_and_its_stages_are_read(tree: Tree, before: tuple[str, ...]) -> None:
    tree.program("ccache", 'exec "$@"')
    tree.write("times", TIMES)
    nvcc = tree.program("cuda/bin/nvcc", f'echo "$@"; cp times {KEEP}/time.csv')
    code, said, result = tree.compile(*before, nvcc, "-c", "a.cu", "-o", "objects/a.o")
    assert code == 0
    assert said == f"-c a.cu -o objects/a.o --keep --keep-dir={KEEP} --time={KEEP}/time.csv\n"
    assert result["stages"] == [
        {"name": "gcc (preprocessing 4)", "gpu_arch": "", "elapsed_s": 0.7678},
        {"name": "cicc", "gpu_arch": "compute_90", "elapsed_s": 2.8855},
        {"name": "ptxas", "gpu_arch": "sm_90", "elapsed_s": 0.149},
    ]
    assert not (tree.root / KEEP).exists()


def test_a_compiler_that_is_told_of_nvcc_is_none(tree: Tree) -> None:
    assert tree.compile("echo", "-I", "nvcc")[1] == "-I nvcc\n"


def test_a_hit_of_ccache_has_no_stages(tree: Tree) -> None:
    nvcc = tree.program("nvcc", "true")
    assert tree.compile(nvcc, "-c", "a.cu", "-o", "a.o")[2]["stages"] == []


def test_a_failed_nvcc_leaves_no_files(tree: Tree) -> None:
    nvcc = tree.program("nvcc", f"touch {KEEP}/a.ptx; exit 2")
    assert tree.compile(nvcc, "-c", "a.cu", "-o", "a.o")[0] == 2
    assert not (tree.root / KEEP).exists()


def test_times_of_a_killed_build_are_not_read(tree: Tree) -> None:
    tree.write(f"{KEEP}/time.csv", TIMES)
    nvcc = tree.program("nvcc", "true")
    assert tree.compile(nvcc, "-c", "a.cu", "-o", "a.o")[2]["stages"] == []


@pytest.mark.parametrize("way", ["file", "signal"])
def test_a_stopped_build_leaves_no_files_and_no_compilers(tree: Tree, way: str) -> None:
    os.mkfifo(tree.root / "gate")
    nvcc = tree.program("nvcc", f"touch {KEEP}/a.ptx; echo started; read word < gate")
    process = tree.start(nvcc, "-c", "a.cu", "-o", "a.o")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert (tree.root / KEEP / "a.ptx").exists()
    if way == "file":
        tree.write(STOP, "")
    else:
        os.killpg(process.pid, signal.SIGTERM)
    assert "dsdeploy-result" not in process.communicate()[0]
    assert process.returncode == -signal.SIGTERM
    assert not (tree.root / KEEP).exists()


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on PATH")
def test_a_real_nvcc_tells_its_stages(tree: Tree) -> None:
    source = tree.write("a.cu", "__global__ void set(int *x) { *x = 1; }\n")
    gencodes = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in (80, 90)]
    code, said, result = tree.compile("nvcc", "-c", source, "-o", "objects/a.o", *gencodes)
    assert (code, said) == (0, "")
    assert (tree.root / "objects/a.o").exists()
    stages = {(stage["name"], stage["gpu_arch"]) for stage in result["stages"]}
    assert {("cicc", "compute_80"), ("cicc", "compute_90"), ("ptxas", "sm_80"), ("ptxas", "sm_90")} < stages
    assert all(stage["elapsed_s"] > 0 for stage in result["stages"])
    assert not (tree.root / KEEP).exists()
