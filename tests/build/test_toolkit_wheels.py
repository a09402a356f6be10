"""NVIDIA's own wheels from the configured package index: fetched, unpacked, linked, and compiled with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from toolchain_parts import TAGS, WHEELS, write_files

from orchestrator.audit.shared_objects import read_shared_object
from orchestrator.build.steps import Workshop
from orchestrator.build.toolchains.linking import CudaHome, LinkedHome, StageCache, link_cuda_home
from orchestrator.build.toolchains.wheels import WheelToolchains
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.audit import SharedObject
from orchestrator.remote.local import open_local
from orchestrator.remote.session import AgentSession

pytestmark = pytest.mark.build
TOOLKIT = replace(WHEELS, requirements=("cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,profiler]==13.0.*",))
SOURCE = """
#include <cuda.h>
#include <cuda_profiler_api.h>
#include <cuda_runtime.h>
#include <cub/block/block_reduce.cuh>

__global__ void add(float *into, float number) { into[threadIdx.x] += number; }

extern "C" int start(float *numbers) {
    CUdeviceptr memory;
    add<<<1, 32>>>(numbers, 1.0f);
    return cudaProfilerStop() + cuMemAlloc(&memory, 4);
}
"""
PASS_ON = """
import os, sys
with open(sys.argv[1], "a") as story:
    story.write(os.path.basename(sys.argv[2]) + "\\n")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Provided:
    """The toolkit on this machine, and what was said until it was there."""

    remote: AgentSession
    provider: WheelToolchains
    roots: tuple[str, ...]
    pip_said: list[str]
    told: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provided]:
    folder = tmp_path_factory.mktemp("toolkit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        remote = open_local()
    pip_said: list[str] = []
    told: list[str] = []
    index = PipIndex(folder / "packages", environ=os.environ, on_line=pip_said.append)
    provider = WheelToolchains(index, told.append)
    roots = provider.provide(TOOLKIT, remote, TAGS, sys.executable)
    yield Provided(remote, provider, roots, pip_said, told)
    remote.close()


@pytest.fixture
def shop(tmp_path: Path, provided: Provided) -> Iterator[Workshop]:
    with provided.remote.workspace() as folder:
        yield Workshop(remote=provided.remote, folder=folder, logs=tmp_path)


def link(shop: Workshop, provided: Provided, stage_cache: StageCache | None = None) -> LinkedHome:
    home = CudaHome(
        folder=shop.path("tree", ".dsdeploy", "cuda"),
        roots=provided.roots,
        compiler="/usr/bin/g++",
        stage_cache=stage_cache,
    )
    return link_cuda_home(shop, sys.executable, home)


def compile_with(shop: Workshop) -> SharedObject:
    """Compile and link a library with nothing of CUDA on PATH."""
    tree = write_files(Path(shop.path("tree")), {"add.cu": SOURCE})
    cuda = ".dsdeploy/cuda"
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": shop.folder}
    options = ["-gencode=arch=compute_90,code=sm_90", "--compiler-options", "-fPIC", "-ccbin", "/usr/bin/g++"]
    nvcc = [f"{cuda}/bin/nvcc", *options, "-c", "add.cu", "-o", "add.o"]
    subprocess.run(nvcc, cwd=tree, env=environment, check=True)
    libraries = [f"-L{cuda}/lib64", f"-L{cuda}/lib64/stubs", "-lcudart", "-lcuda"]
    linker = ["g++", "-shared", "-Wl,--as-needed,--no-undefined", "add.o", *libraries, "-o", "add.so"]
    subprocess.run(linker, cwd=tree, env=environment, check=True)
    return read_shared_object(tree / "add.so")


def test_the_fetched_toolkit_compiles_for_a_gpu_and_links_without_a_driver(shop: Workshop, provided: Provided) -> None:
    linked = link(shop, provided)
    library = compile_with(shop)
    assert linked.nvcc_version.startswith("13.0.")
    assert linked.has_own_stub
    assert library.gpu_archs == ("sm_90",)
    assert library.ptx_archs == ()
    assert {"libcudart.so.13", "libcuda.so.1"} <= set(library.needed)


def test_nvcc_starts_its_inner_tools_through_the_stage_cache(
    shop: Workshop, provided: Provided, tmp_path: Path
) -> None:
    script = write_files(tmp_path, {"pass on.py": PASS_ON}) / "pass on.py"
    link(shop, provided, StageCache(script=str(script), folder=str(tmp_path / "story")))
    assert compile_with(shop).gpu_archs == ("sm_90",)
    assert sorted((tmp_path / "story").read_text().split()) == ["cicc", "cudafe++", "ptxas"]


def test_a_second_time_nothing_is_fetched_sent_or_unpacked(provided: Provided) -> None:
    nvcc = Path(provided.roots[0], "bin", "nvcc")
    before, pip_lines, told = nvcc.stat(), len(provided.pip_said), len(provided.told)
    assert provided.provider.provide(TOOLKIT, provided.remote, TAGS, sys.executable) == provided.roots
    assert (nvcc.stat().st_ino, nvcc.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(provided.pip_said) == pip_lines
    assert len(provided.told) == told + 1
    assert pip_lines > 0
