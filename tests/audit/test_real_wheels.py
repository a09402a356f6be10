"""Real extensions of torch with GPU code, as the package index has them: torchvision 0.26 and xformers 0.0.35."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.hosts import INTERPRETER, SYSTEM

from orchestrator.audit.verdicts import judge
from orchestrator.audit.wheels import read_wheel
from orchestrator.model.audit import WheelContents
from orchestrator.model.facts import Facts, Gpu, Torch
from orchestrator.model.signature import Accelerator

pytestmark = pytest.mark.process


def download(folder: Path, requirement: str) -> Path:
    """A wheel of the package index, for Python 3.12 on any x86-64 Linux."""
    options = ["--no-deps", "--only-binary=:all:", "--python-version=3.12"]
    options += [f"--platform={platform}_x86_64" for platform in ("manylinux2014", "manylinux_2_28")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--dest", str(folder), requirement]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download(tmp_path_factory.mktemp("wheel"), "torchvision==0.26.0")


@pytest.fixture(scope="module")
def contents(wheel: Path) -> WheelContents:
    return read_wheel(wheel)


def test_its_tags_and_requirements_are_read(contents: WheelContents) -> None:
    assert contents.tags == ("cp312-cp312-manylinux_2_28_x86_64",)
    assert "torch (==2.11.0)" in contents.requires
    assert contents.manifest is None


def test_its_symbols_of_torch_are_read(contents: WheelContents) -> None:
    library = contents.shared_objects["torchvision/_C.so"]
    assert library.cxx11_abi is True
    assert "_ZN3c104cuda20getCurrentCUDAStreamEa" in library.torch_symbols
    assert len(library.torch_symbols) == 163


def test_the_libraries_that_it_brings_along_are_read(contents: WheelContents) -> None:
    brought = {path for path in contents.shared_objects if path.startswith("torchvision.libs/")}
    assert len(brought) == 7
    assert all(not contents.shared_objects[path].torch_symbols for path in brought)


def make_host(cuda: str, capability: str, driver: str) -> Facts:
    torch = Torch(version=f"2.11.0+cu{cuda.replace('.', '')}", cuda=cuda)
    gpu = Gpu(index=0, name="G", compute_capability=capability, driver=driver)
    interpreter = replace(INTERPRETER, abi_tag="cp312", torch=torch)
    return Facts(system=SYSTEM, accelerator=Accelerator.CUDA, gpus=(gpu,), interpreter=interpreter)


@pytest.mark.parametrize(
    ("host", "evidence"),
    [
        (make_host("13.0", "9.0", "580.65.06"), []),
        (make_host("13.0", "9.0", "570.86.15"), ["CUDA 13, which needs driver 580 or newer, the host has 570.86.15"]),
        (make_host("13.0", "7.0", "580.65.06"), ["sm_75, sm_80, sm_86, sm_90 only, the host has sm_70 (G)"]),
    ],
)
def test_torchvision_fits_the_hosts_that_it_is_for(contents: WheelContents, host: Facts, evidence: list[str]) -> None:
    misfits = judge(contents, host).misfits
    assert [misfit.evidence[-len(end) :] for misfit, end in zip(misfits, evidence, strict=True)] == evidence


def test_an_xformers_for_cuda_12_does_not_fit_a_torch_for_cuda_13(tmp_path: Path) -> None:
    xformers = read_wheel(download(tmp_path, "xformers==0.0.35"))
    assert xformers.tags == ("py39-none-manylinux_2_28_x86_64",)
    assert judge(xformers, make_host("12.8", "9.0", "550.54")).fits
    (misfit,) = judge(xformers, make_host("13.0", "9.0", "580.65")).misfits
    assert misfit.evidence == "_C needs libcudart.so.12, the host's torch is for CUDA 13.0"


def test_its_gpu_code_is_what_nvidias_own_tool_lists(
    wheel: Path, contents: WheelContents, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cuobjdump")
    for archive in (download(folder, "nvidia-cuda-cuobjdump==13.*"), wheel):
        zipfile.ZipFile(archive).extractall(folder)
    (program,) = folder.glob("nvidia/**/bin/cuobjdump")
    program.chmod(0o700)
    assert len(contents.shared_objects["torchvision/_C.so"].gpu_archs) == 6
    for path, library in contents.shared_objects.items():
        assert set(library.gpu_archs) == list_archs(program, "-lelf", folder / path)
        assert set(library.ptx_archs) == {
            arch.replace("sm", "compute") for arch in list_archs(program, "-lptx", folder / path)
        }


def list_archs(program: Path, option: str, library: Path) -> set[str]:
    """The archs in file names like `_C.1.sm_90.cubin`; where there are none it says so and fails."""
    listing = subprocess.run([program, option, library], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"\.(sm_\d+[af]?)\.(?:cubin|ptx)$", listing, re.MULTILINE))
