"""A CUDA_HOME of links out of toolkits of a few files: what is in it, and where its nvcc looks."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_deepspeed import make_torch_python
from toolchain_parts import TOOLKIT, VERSION, write_files

from orchestrator.audit.shared_objects import read_shared_object
from orchestrator.build.steps import DRIVERS, Workshop
from orchestrator.build.toolchains.linking import CudaHome, LinkedHome, StageCache, link_cuda_home
from orchestrator.errors import BuildError
from orchestrator.remote.local import open_local

pytestmark = pytest.mark.process
TARGET = f"targets/{ {'x86_64': 'x86_64', 'aarch64': 'sbsa'}[platform.machine()] }-linux"


@dataclass(frozen=True)
class Bench:
    """A folder to link in, and an interpreter that sees what torch brought."""

    folder: Path
    python: str

    @property
    def home(self) -> Path:
        return self.folder / "tree" / ".dsdeploy" / "cuda"

    def root(self, name: str, files: Mapping[str, str] = TOOLKIT) -> str:
        return str(write_files(self.folder / name, files))

    def bring(self, files: Mapping[str, str]) -> None:
        """Give torch libraries and headers of its own."""
        (packages,) = self.folder.glob("environment/lib/python*/site-packages")
        write_files(packages / "nvidia", files)

    def link(self, *roots: str, stage_cache: StageCache | None = None) -> Any:
        ended = self.try_link(*roots, stage_cache=stage_cache)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.rpartition("dsdeploy-result ")[2])

    def try_link(self, *roots: str, stage_cache: StageCache | None = None) -> subprocess.CompletedProcess[str]:
        cache = {"script": stage_cache.script, "folder": stage_cache.folder} if stage_cache else None
        order = {"folder": str(self.home), "roots": roots, "compiler": "/usr/bin/cc", "stage_cache": cache}
        argv = [self.python, "-I", str(DRIVERS / "link_cuda_home.py"), json.dumps(order)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, make_torch_python(tmp_path / "environment"))


def test_nvcc_finds_its_parts_there_when_it_is_called_by_a_relative_path(bench: Bench) -> None:
    assert bench.link(bench.root("cuda"))["nvcc_version"] == VERSION
    nvcc = ".dsdeploy/cuda/bin/nvcc"
    told = subprocess.check_output([nvcc, "--dryrun"], cwd=bench.folder / "tree", text=True)
    assert told == "#$ TOP=.dsdeploy/cuda/bin/..\n"
    assert (bench.home / "bin" / "nvcc.profile").exists()


def test_the_first_root_wins_and_folders_of_several_are_merged(bench: Bench) -> None:
    first = bench.root("first", {**TOOLKIT, "include/same.h": "first", "include/crt/a.h": "first"})
    files = {"include/same.h": "second", "include/crt/a.h": "second", "include/crt/b.h": "second", "include/nv/c.h": ""}
    bench.link(first, bench.root("second", files))
    include = bench.home / "include"
    assert [(include / name).read_text() for name in ("same.h", "crt/a.h", "crt/b.h")] == ["first", "first", "second"]
    assert (include / "crt").is_dir()
    assert not (include / "crt").is_symlink()
    assert (include / "nv").is_symlink()


def test_a_folder_to_which_the_others_add_nothing_is_one_link(bench: Bench) -> None:
    first = bench.root("first", {**TOOLKIT, "include/cccl/cub/a.h": "first"})
    bench.link(first, bench.root("second", {"include/cccl/cub/a.h": "second"}))
    assert (bench.home / "include" / "cccl").readlink() == Path(first, "include", "cccl")


def test_a_file_of_the_first_root_beats_a_folder_of_the_second(bench: Bench) -> None:
    files = {"include/thing/x.h": "", "include/other": ""}
    bench.link(
        bench.root("first", {**TOOLKIT, "include/thing": "file", "include/other/y.h": ""}), bench.root("b", files)
    )
    assert (bench.home / "include" / "thing").read_text() == "file"
    assert (bench.home / "include" / "other" / "y.h").exists()


def test_what_torch_brings_comes_after_the_roots(bench: Bench) -> None:
    bench.bring(
        {
            "cu13/include/cuda.h": "torch's",
            "cu13/include/cusparse.h": "torch's",
            "cu13/lib/libcusparse.so.12": "",
            "nccl/include/nccl.h": "",
            "nccl/lib/libnccl.so.2": "",
        }
    )
    bench.link(bench.root("cuda"))
    assert (bench.home / "include" / "cuda.h").read_text() == TOOLKIT["include/cuda.h"]
    assert (bench.home / "include" / "cusparse.h").read_text() == "torch's"
    assert (bench.home / "include" / "nccl.h").exists()
    assert (bench.home / "lib64" / "libcusparse.so").readlink() == Path("libcusparse.so.12")
    assert (bench.home / "lib64" / "libnccl.so").exists()


def test_the_linker_finds_a_library_without_its_number_as_the_first_root_has_it(bench: Bench) -> None:
    libraries = {"lib/libA.so.2": "first", "lib/libB.so": "own", "lib/libB.so.1": "", "lib/libC.a": ""}
    first = bench.root("first", {**TOOLKIT, **libraries})
    result = bench.link(first, bench.root("second", {"lib/libA.so.1": "second"}))
    library = bench.home / "lib64"
    assert [(library / name).read_text() for name in ("libA.so", "libB.so")] == ["first", "own"]
    assert {path.name for path in library.glob("lib[A-C].*")} == {
        "libA.so", "libA.so.1", "libA.so.2", "libB.so", "libB.so.1", "libC.a",
    }  # fmt: skip
    assert result["libraries"] == 6 + len(["libcudart.so", "libcudart.so.13"])
    assert (bench.home / "lib" / "libA.so").read_text() == "first"


def test_a_system_toolkit_keeps_headers_and_libraries_under_targets(bench: Bench) -> None:
    moved = {name.replace("include/", f"{TARGET}/include/"): content for name, content in TOOLKIT.items()}
    root = Path(
        bench.root("cuda-12.4", {**moved, f"{TARGET}/lib/libcudart.so.12": "", "targets/other/include/x.h": ""})
    )
    (root / "include").symlink_to(f"{TARGET}/include")
    (root / "lib64").symlink_to(f"{TARGET}/lib")
    bench.link(str(root))
    assert (bench.home / "include" / "cuda.h").exists()
    assert (bench.home / "lib64" / "libcudart.so").readlink() == Path("libcudart.so.12")
    assert not (bench.home / "include" / "x.h").exists()
    assert not (bench.home / "targets").exists()


def test_a_stub_of_libcuda_has_every_name_of_cuda_h_also_the_renamed(bench: Bench, tmp_path: Path) -> None:
    assert bench.link(bench.root("cuda"))["has_own_stub"] is True
    stub = bench.home / "lib64" / "stubs" / "libcuda.so"
    names = subprocess.check_output(["nm", "--dynamic", "--defined-only", "--format=just-symbols", stub], text=True)
    assert names.split() == ["cuInit", "cuMemAlloc", "cuMemAlloc_v2"]
    source = write_files(tmp_path, {"user.c": "void cuInit(void); void use(void) { cuInit(); }"}) / "user.c"
    options = ["-shared", "-fPIC", "-Wl,--as-needed", "-o", str(tmp_path / "user.so")]
    subprocess.run(["cc", *options, str(source), f"-L{stub.parent}", "-lcuda"], check=True)
    assert "libcuda.so.1" in read_shared_object(tmp_path / "user.so").needed


def test_a_toolkits_own_stub_is_taken(bench: Bench) -> None:
    root = bench.root("cuda", {**TOOLKIT, "lib/stubs/libcuda.so": "theirs"})
    assert bench.link(root)["has_own_stub"] is False
    assert (bench.home / "lib64" / "stubs" / "libcuda.so").read_text() == "theirs"


def test_a_stub_joins_the_other_stubs_without_touching_the_toolkit(bench: Bench) -> None:
    root = bench.root("cuda", {**TOOLKIT, "lib/stubs/libnvidia-ml.so": "theirs"})
    bench.link(root)
    assert {path.name for path in (bench.home / "lib64" / "stubs").iterdir()} == {"libcuda.so", "libnvidia-ml.so"}
    assert [path.name for path in Path(root, "lib", "stubs").iterdir()] == ["libnvidia-ml.so"]


def test_inner_tools_are_started_through_the_stage_cache(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "it's a script.py"
    script.write_text("import json, sys\nprint(json.dumps([sys.flags.isolated, sys.flags.no_site, *sys.argv[1:]]))")
    root = bench.root("cuda", {**TOOLKIT, "nvvm-next/bin/cicc": "#!/bin/sh\n"})
    bench.link(root, stage_cache=StageCache(script=str(script), folder="/a cache"))
    for tool in ("bin/cudafe++", "nvvm/bin/cicc", "nvvm-next/bin/cicc"):
        told = json.loads(subprocess.check_output([bench.home / tool, "-o", "a $b"]))
        assert told == [1, 1, "/a cache", f"{root}/{tool}", "-o", "a $b"]
    assert Path(root, "nvvm/bin/cicc").read_text() == TOOLKIT["nvvm/bin/cicc"]
    assert (bench.home / "bin" / "nvcc").is_symlink()
    assert (bench.home / "nvvm" / "libdevice" / "libdevice.10.bc").exists()
    assert not (bench.home / "bin" / "ptxas").exists()


def test_without_a_stage_cache_nvcc_calls_its_tools_itself(bench: Bench) -> None:
    bench.link(bench.root("cuda"))
    assert (bench.home / "bin" / "cudafe++").is_symlink()
    assert subprocess.check_output([bench.home / "nvvm" / "bin" / "cicc", "a"], text=True) == "cicc 1\n"


def test_an_nvcc_of_another_folder_is_refused(bench: Bench) -> None:
    other = bench.root("other")
    root = bench.root("cuda", {**TOOLKIT, "bin/nvcc": f'#!/bin/sh\nexec {other}/bin/nvcc "$@"\n'})
    ended = bench.try_link(root)
    assert ended.returncode == 1
    assert f"{root}/bin/nvcc is a part of {other}/bin/.." in ended.stderr


@pytest.mark.parametrize("missing", ["bin/nvcc", "include/cuda.h"])
def test_a_folder_that_is_no_toolkit_is_refused(bench: Bench, missing: str) -> None:
    ended = bench.try_link(bench.root("cuda", {name: text for name, text in TOOLKIT.items() if name != missing}))
    assert ended.returncode == 1
    assert ended.stderr == f"the toolkit has no {missing.removeprefix('include/')}\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    session = open_local()
    with session.workspace() as folder:
        yield Workshop(remote=session, folder=folder, logs=tmp_path / "logs")
    session.close()


def test_a_home_is_linked_in_a_workshop(shop: Workshop, bench: Bench) -> None:
    home = CudaHome(folder=shop.path("tree", "cuda"), roots=(bench.root("cuda"),), compiler="/usr/bin/g++")
    linked = link_cuda_home(shop, sys.executable, home)
    assert linked.nvcc_version == VERSION
    assert linked.has_own_stub
    assert linked == LinkedHome(nvcc_version=VERSION, has_own_stub=True, libraries=linked.libraries)


def test_a_home_that_cannot_be_linked_fails_the_build_with_the_reason(shop: Workshop, bench: Bench) -> None:
    home = CudaHome(folder=shop.path("cuda"), roots=(bench.root("cuda", {"lib/x": ""}),), compiler="/usr/bin/g++")
    with pytest.raises(BuildError, match=r"toolchain failed on controller: the toolkit has no cuda\.h"):
        link_cuda_home(shop, bench.python, home)
