"""What a real agent says of CUDA: of toolkits that are played by small programs, and of a real one where it is."""

from __future__ import annotations

import os
import shutil
import sys
import venv
from pathlib import Path

import pytest
from agent_client import AgentProcess

from orchestrator.model.codec import from_document
from orchestrator.model.facts import Facts

pytestmark = pytest.mark.process

NVCC = """#!/bin/sh
case "$1" in
-V) echo 'Cuda compilation tools, release 12.4, V12.4.131';;
--list-gpu-arch) printf 'compute_50\\ncompute_90\\ncompute_90a\\n';;
--dryrun) printf '#$ _HERE_={home}/bin\\n#$ TOP={home}/bin/..\\n' >&2;;
esac
"""


def facts(home: Path, python: str = sys.executable, **environment: str) -> Facts:
    with AgentProcess(home, environment={"CUDA_HOME": "", "CUDA_PATH": "", **environment}) as agent:
        return from_document(Facts, agent.ask("facts", python=python))


def write(path: Path, text: str = "", *, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def toolkit(tmp_path: Path) -> Path:
    """A CUDA_HOME whose nvcc answers what the agent asks."""
    home = tmp_path / "cuda-12.4"
    write(home / "include" / "cuda_runtime.h")
    write(home / "bin" / "nvcc", NVCC.replace("{home}", str(home)), mode=0o755)
    return home


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A folder to put on PATH before all else."""
    folder = tmp_path / "somewhere" / "bin"
    folder.mkdir(parents=True)
    return folder


def before_path(folder: Path) -> str:
    return f"{folder}:{os.environ['PATH']}"


def test_a_toolkit_says_its_version_and_its_archs(tmp_path: Path, toolkit: Path) -> None:
    found = facts(tmp_path, CUDA_HOME=str(toolkit))
    assert found.cuda_home == str(toolkit)
    assert found.nvcc is not None
    assert (found.nvcc.path, found.nvcc.version) == (str(toolkit / "bin" / "nvcc"), "12.4.131")
    assert found.nvcc_archs == ("sm_50", "sm_90", "sm_90a")


def test_an_nvcc_that_does_not_run_is_not_asked_for_archs(tmp_path: Path, toolkit: Path) -> None:
    (toolkit / "bin" / "nvcc").write_text("#!/bin/sh\ncase $1 in --list*) echo compute_90;; *) exit 3;; esac\n")
    found = facts(tmp_path, CUDA_HOME=str(toolkit))
    assert found.nvcc is not None
    assert "ended with 3" in (found.nvcc.error or "")
    assert found.nvcc_archs == ()


def test_an_old_nvcc_that_cannot_list_archs_is_still_there(tmp_path: Path, toolkit: Path) -> None:
    text = "#!/bin/sh\ntest $1 = -V && echo 'Cuda compilation tools, release 10.2, V10.2.89'\n"
    (toolkit / "bin" / "nvcc").write_text(text)
    found = facts(tmp_path, CUDA_HOME=str(toolkit))
    assert found.nvcc is not None
    assert found.nvcc.version == "10.2.89"
    assert found.nvcc_archs == ()


def test_a_toolkit_on_the_path_is_found(tmp_path: Path, toolkit: Path) -> None:
    assert facts(tmp_path, PATH=before_path(toolkit / "bin")).cuda_home == str(toolkit)


def test_a_link_to_nvcc_leads_to_its_toolkit(tmp_path: Path, toolkit: Path, bin_folder: Path) -> None:
    (bin_folder / "nvcc").symlink_to(toolkit / "bin" / "nvcc")
    assert facts(tmp_path, PATH=before_path(bin_folder)).cuda_home == str(toolkit)


def test_a_script_around_nvcc_leads_to_its_toolkit(tmp_path: Path, toolkit: Path, bin_folder: Path) -> None:
    write(bin_folder / "nvcc", f'#!/bin/sh\nexec {toolkit}/bin/nvcc "$@"\n', mode=0o755)
    found = facts(tmp_path, PATH=before_path(bin_folder))
    assert found.cuda_home == str(toolkit)
    assert found.nvcc is not None
    assert found.nvcc.path == str(toolkit / "bin" / "nvcc")


def test_an_nvcc_without_a_toolkit_is_told_where_torch_would_see_it(tmp_path: Path, bin_folder: Path) -> None:
    write(bin_folder / "nvcc", "#!/bin/sh\nexit 1\n", mode=0o755)
    found = facts(tmp_path, PATH=before_path(bin_folder))
    assert found.cuda_home == str(bin_folder.parent)
    assert found.nvcc is not None
    assert not found.nvcc.is_working


@pytest.mark.parametrize(("include", "lib"), [("include", "lib64"), ("targets/x86_64-linux/include", "lib")])
def test_libcufile_needs_header_and_dev_link(tmp_path: Path, toolkit: Path, include: str, lib: str) -> None:
    if facts(tmp_path, CUDA_HOME=str(toolkit)).has_cufile:
        pytest.skip("this machine has libcufile outside of any toolkit")
    write(toolkit / include / "cufile.h")
    write(toolkit / lib / "libcufile.so.0")
    assert not facts(tmp_path, CUDA_HOME=str(toolkit)).has_cufile
    write(toolkit / lib / "libcufile.so")
    assert facts(tmp_path, CUDA_HOME=str(toolkit)).has_cufile


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of an empty virtual environment."""
    venv.create(tmp_path / "venv", symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


@pytest.mark.parametrize("place", ["toolkit", "packages"])
def test_nccl_is_found_in_the_toolkit_and_among_the_interpreter_s_packages(
    tmp_path: Path, toolkit: Path, python: Path, place: str
) -> None:
    if facts(tmp_path, str(python), CUDA_HOME=str(toolkit)).has_nccl:
        pytest.skip("this machine has nccl.h outside of any toolkit")
    (packages,) = (tmp_path / "venv").glob("lib/python3.*/site-packages")
    added = {
        "toolkit": toolkit / "include" / "nccl.h",
        "packages": packages / "nvidia_nccl_cu13-2.28.9.dist-info/METADATA",
    }
    write(added[place])
    assert facts(tmp_path, str(python), CUDA_HOME=str(toolkit)).has_nccl


def test_ccache_is_really_run(tmp_path: Path, bin_folder: Path) -> None:
    write(bin_folder / "ccache", "#!/bin/sh\necho 'ccache version 4.7.5'\n", mode=0o755)
    found = facts(tmp_path, PATH=str(bin_folder))
    assert found.ccache is not None
    assert (found.ccache.path, found.ccache.version) == (str(bin_folder / "ccache"), "4.7.5")
    write(bin_folder / "ccache", "#!/bin/sh\necho 'no such option' >&2; exit 1\n", mode=0o755)
    broken = facts(tmp_path, PATH=str(bin_folder)).ccache
    assert broken is not None
    assert "no such option" in (broken.error or "")
    (bin_folder / "ccache").unlink()
    assert facts(tmp_path, PATH=str(bin_folder)).ccache is None


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc on PATH")
def test_a_real_toolkit_on_the_path_is_told_truly(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert found.nvcc is not None
    assert found.nvcc.is_working
    assert found.cuda_home is not None
    assert (Path(found.cuda_home) / "bin" / "nvcc").exists()
    assert list(Path(found.cuda_home).glob("**/include/cuda_runtime.h"))
    assert found.nvcc_archs
