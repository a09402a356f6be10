"""nvcc's inner programs behind a cache: what is found again, what never is, and what is left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.build.drivers import cuda_stage
from orchestrator.build.steps import DRIVERS

pytestmark = pytest.mark.process

PROGRAM = """#!{python} -IS
import os, sys
words, options, flags = iter(sys.argv[1:]), {{}}, []
for word in words:
    if word.endswith(("_name", "-o", "-arch")):
        options[word] = next(words)
    elif word.startswith(("-", "@")):
        flags.append(word)
    else:
        source = word
text = open(source).read()
with open({log!r}, "a") as log:
    log.write(options.get("--orig_src_path_name", "") + "\\n")
print("said on stdout")
print("a warning", file=sys.stderr)
if "FAIL" in text:
    sys.exit(3)
if "KILL" in text:
    os.kill(os.getpid(), 9)
module_id = options.get("--module_id_file_name")
if module_id and "--gen_module_id_file" not in flags:
    text += open(module_id).read()
names = source if "TELL" in text else options.get("--stub_file_name", "")
for option, path in options.items():
    is_output = option in ("-o", "--gen_c_file_name", "--gen_device_file_name") or path.startswith("keep/")
    if is_output and (path != module_id or "--gen_module_id_file" in flags) and "LESS" not in text:
        open(path, "w").write(" ".join([option, options.get("-arch", ""), *flags, text, names]))
"""
SOURCE = "csrc/a.cu"
FRONT = ["--c++20", "--gnu_version=120200", "--allow_managed", "--orig_src_file_name", SOURCE, "--orig_src_path_name"]


@dataclass
class Bench:
    """Made-up programs that keep nvcc's conventions, and folders in which they are called."""

    root: Path
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        for name in ("cudafe++", "cicc", "ptxas", "nvlink"):
            self.make_program(name)
        self.libdevice.parent.mkdir(parents=True)
        self.libdevice.write_text("libdevice", encoding="utf-8")
        self.enter("one")

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def libdevice(self) -> Path:
        return self.root / "libdevice" / "libdevice.10.bc"

    @property
    def runs(self) -> list[str]:
        """The source's path as each run of a program was told it."""
        log = self.root / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    @property
    def entries(self) -> list[Path]:
        return [path for path in self.cache.iterdir() if path.is_file()] if self.cache.is_dir() else []

    def make_program(self, name: str, remark: str = "") -> None:
        program = self.root / "tools" / name
        program.parent.mkdir(exist_ok=True)
        text = PROGRAM.format(python=sys.executable, log=str(self.root / "log")) + remark
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)

    def enter(self, name: str, text: str = "text", module_id: str = "id") -> None:
        """Go to another folder, with a preprocessed source in it."""
        self.folder = self.root / name
        (self.folder / "keep").mkdir(parents=True, exist_ok=True)
        for file in ("a.ii", "b.ii"):
            (self.folder / "keep" / file).write_text(text, encoding="utf-8")
        (self.folder / "keep" / "a.module_id").write_text(module_id, encoding="utf-8")

    def cudafe(self, name: str = "a", *more: str) -> list[str]:
        outputs = ["--gen_c_file_name", f"keep/{name}.cudafe1.cpp", "--module_id_file_name", f"keep/{name}.module_id"]
        front = [*FRONT, str(self.folder / SOURCE), "--gen_module_id_file", "--stub_file_name", f"{name}.stub.c"]
        return ["cudafe++", *front, *outputs, *more, "keep/a.ii"]

    def cicc(self, name: str = "a", *more: str, arch: str = "compute_90") -> list[str]:
        outputs = ["--gen_c_file_name", f"keep/{name}.c", "--stub_file_name", f"keep/{name}.stub.c"]
        outputs += ["--gen_device_file_name", f"keep/{name}.gpu", "-o", f"keep/{name}.ptx"]
        front = [*FRONT, str(self.folder / SOURCE), "-arch", arch, "-tused", "--module_id_file_name"]
        return ["cicc", *front, "keep/a.module_id", *more, *outputs, "keep/a.ii"]

    def ptxas(self, *more: str) -> list[str]:
        return ["ptxas", "-arch=sm_90", "-m64", *more, "keep/a.ii", "-o", "keep/a.cubin"]

    def argv(self, command: list[str]) -> list[str]:
        tool = str(self.root / "tools" / command[0])
        return [sys.executable, "-I", "-S", str(DRIVERS / "cuda_stage.py"), str(self.cache), tool, *command[1:]]

    def call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NVVMIR_LIBRARY_DIR": str(self.libdevice.parent)}
        return subprocess.run(
            self.argv(command), cwd=self.folder, capture_output=True, text=True, check=False, env=environment
        )

    def read(self, name: str) -> str:
        return (self.folder / "keep" / name).read_text(encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("command", "outputs"),
    [
        (Bench.cudafe, ["a.cudafe1.cpp", "a.module_id"]),
        (Bench.cicc, ["a.c", "a.stub.c", "a.gpu", "a.ptx"]),
        (Bench.ptxas, ["a.cubin"]),
    ],
)
def test_the_second_run_is_answered(bench: Bench, command: Callable[[Bench], list[str]], outputs: list[str]) -> None:
    first = bench.call(command(bench))
    made = [bench.read(name) for name in outputs]
    bench.enter("two")
    second = bench.call(command(bench))
    assert [bench.read(name) for name in outputs] == made
    assert all(made)
    assert (second.returncode, second.stdout, second.stderr) == (0, "said on stdout\n", "a warning\n")
    assert (first.returncode, first.stdout, first.stderr) == (0, second.stdout, second.stderr)
    assert len(bench.runs) == len(bench.entries) == 1


def test_a_fat_build_finds_it_under_other_names(bench: Bench) -> None:
    bench.call(bench.cudafe())
    bench.call(bench.cudafe("a.compute_90"))
    assert bench.read("a.compute_90.cudafe1.cpp") == bench.read("a.cudafe1.cpp").replace("a.stub", "a.compute_90.stub")
    bench.enter("one")
    bench.call(bench.cicc())
    bench.call(bench.cicc("a.compute_90"))
    assert bench.read("a.compute_90.stub.c") == bench.read("a.stub.c").replace("keep/a", "keep/a.compute_90")
    assert bench.read("a.compute_90.stub.c").endswith(" keep/a.compute_90.stub.c")
    assert len(bench.runs) == 2


def test_a_source_that_tells_the_name_of_the_stub_is_found_under_that_name_only(bench: Bench) -> None:
    bench.enter("one", "a.stub.c")
    for name in ("a", "a", "b"):
        bench.call(bench.cudafe(name))
    assert len(bench.runs) == 2
    assert bench.read("b.cudafe1.cpp").endswith(" b.stub.c")


def test_an_output_that_tells_where_it_was_made_is_not_kept(bench: Bench) -> None:
    bench.enter("one", "TELL")
    bench.call(bench.cicc())
    bench.call(bench.cicc())
    assert len(bench.runs) == 2
    assert bench.entries == []


def change_text(bench: Bench) -> list[str]:
    bench.enter("one", "other text")
    return bench.cicc()


def change_module_id(bench: Bench) -> list[str]:
    bench.enter("one", module_id="other")
    return bench.cicc()


def change_program(bench: Bench) -> list[str]:
    bench.make_program("cicc", "# newer")
    return bench.cicc()


def change_libdevice(bench: Bench) -> list[str]:
    bench.libdevice.write_text("newer", encoding="utf-8")
    return bench.cicc()


@pytest.mark.parametrize(
    "change",
    [
        change_text,
        change_module_id,
        change_program,
        change_libdevice,
        lambda bench: bench.cicc(arch="compute_80"),
        lambda bench: bench.cicc("a", "-ftz=1"),
        lambda bench: bench.cicc("a", "--include_file_name", "b.fatbin.c"),
    ],
)
def test_whatever_the_answer_may_depend_on_is_in_the_key(bench: Bench, change: Callable[[Bench], list[str]]) -> None:
    bench.call(bench.cicc())
    bench.call(change(bench))
    assert len(bench.runs) == len(bench.entries) == 2


@pytest.mark.parametrize(
    "more", [["--new"], ["-generate-line-info"], ["-arch", "compute_80"], ["keep/b.ii"], ["@options"], ["-ftz=2"]]
)
def test_an_argument_that_is_not_known_means_just_run(bench: Bench, more: list[str]) -> None:
    for _ in range(2):
        assert bench.call(bench.cicc("a", *more)).returncode == 0
    assert bench.runs == [SOURCE, SOURCE]
    assert bench.entries == []


def test_without_all_its_outputs_it_is_just_run(bench: Bench) -> None:
    command = [word for word in bench.cicc() if word not in ("--gen_device_file_name", "keep/a.gpu")]
    for _ in range(2):
        assert bench.call(command).returncode == 0
    assert len(bench.runs) == 2


def test_another_program_is_just_run(bench: Bench) -> None:
    for _ in range(2):
        assert bench.call(["nvlink", *bench.ptxas()[1:]]).returncode == 0
    assert len(bench.runs) == 2


def test_the_source_is_told_relative_to_the_folder_and_as_it_is_elsewhere(bench: Bench) -> None:
    bench.call(bench.cicc())
    elsewhere = [word.replace(str(bench.folder), "/elsewhere") for word in bench.cicc()]
    bench.call(elsewhere)
    assert bench.runs == [SOURCE, f"/elsewhere/{SOURCE}"]


def test_a_failure_is_passed_on_and_never_kept(bench: Bench) -> None:
    bench.enter("one", "FAIL")
    for _ in range(2):
        ended = bench.call(bench.cicc())
        assert (ended.returncode, ended.stdout, ended.stderr) == (3, "said on stdout\n", "a warning\n")
    assert len(bench.runs) == 2
    assert bench.entries == []


def test_a_killed_program_is_seen_as_killed(bench: Bench) -> None:
    bench.enter("one", "KILL")
    assert bench.call(bench.cicc()).returncode == -signal.SIGKILL


def test_a_missing_input_is_told_by_the_program(bench: Bench) -> None:
    (bench.folder / "keep" / "a.ii").unlink()
    ended = bench.call(bench.cicc())
    assert ended.returncode == 1
    assert "keep/a.ii" in ended.stderr


def test_a_success_without_all_outputs_is_not_kept(bench: Bench) -> None:
    bench.enter("one", "LESS")
    assert bench.call(bench.cicc()).returncode == 0
    assert bench.entries == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:0],
        lambda content: content[:-1],
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
        lambda content: content[:64] + b"\n[1]" + content[content.index(b"\n", 65) :],
    ],
)
def test_a_damaged_entry_is_made_anew(bench: Bench, damage: Callable[[bytes], bytes]) -> None:
    bench.call(bench.cicc())
    made = bench.read("a.ptx")
    (entry,) = bench.entries
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    bench.call(bench.cicc())
    assert bench.read("a.ptx") == made
    assert entry.read_bytes() == whole
    assert len(bench.runs) == 2


def test_who_writes_into_an_output_does_not_change_the_cache(bench: Bench) -> None:
    bench.call(bench.cicc())
    made = bench.read("a.ptx")
    for _ in range(2):
        bench.call(bench.cicc())
        assert bench.read("a.ptx") == made
        (bench.folder / "keep" / "a.ptx").write_text("", encoding="utf-8")


def test_many_processes_share_a_cache(bench: Bench) -> None:
    processes = []
    for number in range(8):
        bench.enter(f"folder{number}")
        processes.append(subprocess.Popen(bench.argv(bench.cicc()), cwd=bench.folder, stdout=-3, stderr=-3))
    assert [process.wait() for process in processes] == [0] * 8
    made = set()
    for number in range(8):
        bench.folder = bench.root / f"folder{number}"
        made.add(bench.read("a.ptx"))
    assert len(made) == len(bench.entries) == 1


def test_a_cache_that_cannot_be_written_hinders_nobody(bench: Bench) -> None:
    bench.cache.write_text("a file", encoding="utf-8")
    for _ in range(2):
        assert bench.call(bench.cicc()).returncode == 0
        assert bench.read("a.ptx")
    assert len(bench.runs) == 2


def test_the_least_recently_used_entries_go_first(bench: Bench) -> None:
    for number in range(4):
        bench.enter("one", str(number))
        bench.call(bench.ptxas())
        newest = max(bench.entries, key=lambda entry: entry.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    bench.enter("one", "0")
    bench.call(bench.ptxas())  # used again
    sizes = [entry.stat().st_size for entry in bench.entries]
    cuda_stage.trim(bench.cache, sum(sizes) - 1)
    assert len(bench.entries) == 3
    bench.call(bench.ptxas())
    assert len(bench.runs) == 4
    bench.enter("one", "1")
    bench.call(bench.ptxas())
    assert len(bench.runs) == 5


def test_a_cache_within_its_limit_is_left_alone(bench: Bench) -> None:
    bench.call(bench.ptxas())
    cuda_stage.trim(bench.cache, bench.entries[0].stat().st_size)
    assert len(bench.entries) == 1


KERNEL = """
namespace { __device__ int hidden; }
__global__ void set(int *x) { *x = hidden; }
void call(int *x) { set<<<1, 1>>>(x); }
"""


@dataclass(frozen=True)
class Toolkit:
    """A real CUDA_HOME, linked into trees, with its inner programs behind a cache."""

    folder: Path
    root: str

    @property
    def entries(self) -> set[str]:
        return {path.name for path in (self.folder / "cache").iterdir() if path.is_file()}

    def enter(self, tree: str) -> Path:
        """Return a tree's folder, with the toolkit linked into it."""
        here = self.folder / tree
        if not here.exists():
            stage_cache = {"script": str(DRIVERS / "cuda_stage.py"), "folder": str(self.folder / "cache")}
            home = {"folder": str(here / ".dsdeploy/cuda"), "roots": [self.root], "compiler": "cc"}
            order = json.dumps({**home, "stage_cache": stage_cache})
            subprocess.run([sys.executable, "-I", str(DRIVERS / "link_cuda_home.py"), order], check=True)
            (here / "csrc").mkdir()
        return here

    def compile(self, tree: str, *archs: str, kernel: str = KERNEL) -> subprocess.CompletedProcess[str]:
        here = self.enter(tree)
        (here / "csrc/a.cu").write_text(kernel, encoding="utf-8")
        gencodes = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
        nvcc = [".dsdeploy/cuda/bin/nvcc", "-c", "csrc/a.cu", "-o", "build/a.o", "-O3", *gencodes]
        argv = [sys.executable, "-I", "-S", str(DRIVERS / "compile.py"), "stop", "build/keep", *nvcc]
        return subprocess.run(argv, cwd=here, capture_output=True, text=True, check=False)

    def object(self, tree: str) -> bytes:
        return (self.folder / tree / "build/a.o").read_bytes()


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")
    argv = [nvcc, "--dryrun", "-x", "cu", "-c", "/dev/null"]
    told = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=True).stderr
    (top,) = (line[len("#$ TOP=") :] for line in told.splitlines() if line.startswith("#$ TOP="))
    return Toolkit(tmp_path, str(Path(top).resolve()))


def test_a_real_toolkit_gives_equal_bytes_in_every_folder(toolkit: Toolkit) -> None:
    assert toolkit.compile("one", "90").returncode == 0
    entries = toolkit.entries
    assert len(entries) == 3
    assert toolkit.compile("two", "90").returncode == 0
    assert toolkit.object("two") == toolkit.object("one")
    assert toolkit.entries == entries
    shutil.rmtree(toolkit.folder / "cache")
    assert toolkit.compile("three", "90").returncode == 0
    assert toolkit.object("three") == toolkit.object("one")
    assert toolkit.entries == entries


def test_a_real_fat_build_runs_nothing_that_the_single_ones_ran(toolkit: Toolkit) -> None:
    toolkit.compile("tree", "80")
    toolkit.compile("tree", "90")
    entries = toolkit.entries
    assert len(entries) == 5  # the front end of the host's part is one
    assert toolkit.compile("tree", "80", "90").returncode == 0
    assert toolkit.entries == entries
    found = toolkit.object("tree")
    shutil.rmtree(toolkit.folder / "cache")
    assert toolkit.compile("tree", "80", "90").returncode == 0
    assert toolkit.object("tree") == found


def test_a_real_error_is_passed_on(toolkit: Toolkit) -> None:
    ended = toolkit.compile("tree", "90", kernel="__global__ void set(int *x) { *x = none; }\n")
    assert ended.returncode == 2
    assert 'csrc/a.cu(1): error: identifier "none" is undefined' in ended.stdout.splitlines()


def test_a_real_inner_program_that_is_killed_is_told(toolkit: Toolkit) -> None:
    killed = toolkit.folder / "killed" / "ptxas"
    killed.parent.mkdir()
    killed.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    killed.chmod(0o755)
    launcher = toolkit.enter("tree") / ".dsdeploy/cuda/bin/ptxas"
    real = str(Path(toolkit.root) / "bin/ptxas")
    launcher.write_text(launcher.read_text(encoding="utf-8").replace(real, str(killed)), encoding="utf-8")
    ended = toolkit.compile("tree", "90")
    assert ended.returncode != 0
    assert json.loads(ended.stdout.rpartition("\ndsdeploy-result ")[2])["is_killed"] is True
