"""What a real agent says about this machine, about machines that are played, and about interpreters in every state."""

from __future__ import annotations

import json
import os
import stat
import sys
import venv
from pathlib import Path

import pytest
from agent_client import AgentProcess, working_python
from tiny_wheels import DEEPSPEED, TORCH

from orchestrator.model.codec import from_document
from orchestrator.model.facts import Facts
from orchestrator.model.signature import Accelerator, CpuLevel

pytestmark = pytest.mark.process

V3_FLAGS = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3 abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"


def facts(home: Path, python: str = sys.executable, **environment: str) -> Facts:
    with AgentProcess(home, environment=environment) as agent:
        return from_document(Facts, agent.ask("facts", python=python))


def program(folder: Path, name: str, text: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment without pip; returns its python."""
    venv.create(tmp_path / "venv", symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


def site_packages(python: Path) -> Path:
    (found,) = python.parents[1].glob("lib/python3.*/site-packages")
    return found


def test_this_machine_is_described(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert found.system.hostname == os.uname().nodename
    assert found.system.machine == os.uname().machine
    assert found.system.cpu_level.machine in (os.uname().machine, "")
    assert found.system.cpu_cores == len(os.sched_getaffinity(0))
    assert 0 < found.system.memory_available_bytes <= found.system.memory_bytes
    assert {disk.role for disk in found.disks} == {"cache", "site-packages", "tmp"}
    assert found.interpreter is not None
    assert found.interpreter.prefix == sys.prefix
    assert found.interpreter.version == "{}.{}.{}".format(*sys.version_info[:3])
    assert "pytest" in found.interpreter.distributions
    assert found.notes == ()


def test_hosts_that_share_a_cache_say_so(tmp_path: Path) -> None:
    first, again, other = (facts(tmp_path / home).disks[0] for home in ("a", "a", "b"))
    assert first.filesystem_id == again.filesystem_id
    assert first.filesystem_id != other.filesystem_id


def test_a_cpu_can_be_played(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: Old Xeon\nflags\t\t: {V3_FLAGS}\n")
    found = facts(tmp_path, DSDEPLOY_CPUINFO=str(tmp_path / "cpuinfo"))
    assert found.system.cpu_model == "Old Xeon"
    expected = CpuLevel.X86_64_V3 if os.uname().machine == "x86_64" else CpuLevel.ARMV8
    assert found.system.cpu_level is expected


def test_a_gpu_host_whose_torch_has_no_cuda_is_noted(tmp_path: Path, environment: Path) -> None:
    write(site_packages(environment), TORCH)
    row = "0, NVIDIA H100 80GB HBM3, 81559, 550.54.15, GPU-3f0c, 9.0"
    program(tmp_path / "bin", "nvidia-smi", f"#!/bin/sh\necho '{row}'\n")
    found = facts(tmp_path, str(environment), PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert found.accelerator is Accelerator.CUDA
    assert [gpu.compute_capability for gpu in found.gpus] == ["9.0"]
    assert any("without CUDA" in note for note in found.notes)


def test_a_driver_too_old_to_name_its_capability_is_asked_again(tmp_path: Path) -> None:
    text = """#!/bin/sh
case "$1" in *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;; esac
echo '0, Tesla V100-SXM2-32GB, 32510, 418.87, GPU-1'
"""
    program(tmp_path / "bin", "nvidia-smi", text)
    found = facts(tmp_path, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert [gpu.compute_capability for gpu in found.gpus] == ["7.0"]


def test_a_broken_driver_is_a_note_not_an_error(tmp_path: Path) -> None:
    text = "#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'; exit 18\n"
    program(tmp_path / "bin", "nvidia-smi", text)
    found = facts(tmp_path, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert found.accelerator is Accelerator.CPU
    assert any("version mismatch" in note for note in found.notes)


def test_tools_are_really_run(tmp_path: Path) -> None:
    program(tmp_path / "bin", "ninja", "#!/bin/sh\necho 'must run as root' >&2; exit 1\n")
    program(tmp_path / "bin", "c++", "#!/bin/sh\necho 'c++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-4)'\n")
    program(tmp_path / "bin", "clang++-17", "#!/bin/sh\necho 'Debian clang version 17.0.6 (1)'\n")
    found = facts(tmp_path, PATH=str(tmp_path / "bin"), CUDA_HOME=str(tmp_path / "cuda"))
    assert found.ninja is not None
    assert found.ninja.error is not None
    assert "must run as root" in found.ninja.error
    assert [tool.version for tool in found.compilers] == ["8.5.0", "17.0.6"]
    assert found.cuda_home == str(tmp_path / "cuda")
    assert found.nvcc is not None
    assert not found.nvcc.is_working


def test_two_names_of_one_compiler_count_once(tmp_path: Path) -> None:
    real = program(tmp_path / "bin", "g++-12", "#!/bin/sh\necho 'g++ (Debian 12.2.0-14) 12.2.0'\n")
    for name in ("c++", "g++"):
        (tmp_path / "bin" / name).symlink_to(real)
    found = facts(tmp_path, PATH=str(tmp_path / "bin"), CXX="")
    assert [(Path(tool.path).name, tool.version) for tool in found.compilers] == [("c++", "12.2.0")]


def test_torch_and_deepspeed_are_read_and_not_imported(tmp_path: Path, environment: Path) -> None:
    folder = site_packages(environment)
    bomb = {
        "torch/__init__.py": "raise SystemExit('imported')",
        "deepspeed/__init__.py": "raise SystemExit('imported')",
    }
    write(folder, {**TORCH, **DEEPSPEED, **bomb})
    write(folder, {"deepspeed-1.2.3.dist-info/RECORD": "x", "Typing_Extensions-4.1.dist-info/METADATA": ""})
    write(folder, {"torch/version.py": "__version__ = '2.11.0+cu130'\ncuda: str = '13.0.1'\nhip: object = None\n"})
    (folder / "torch" / "lib").mkdir()
    (folder / "torch" / "lib" / "libc10.so").write_bytes(b"\0_ZN3c105ErrorC2ENS_14SourceLocationESs\0")
    interpreter = facts(tmp_path, str(environment)).interpreter
    assert interpreter is not None
    assert interpreter.torch is not None
    assert (interpreter.torch.version, interpreter.torch.cuda) == ("2.11.0+cu130", "13.0")
    assert not interpreter.torch.cxx11_abi
    assert interpreter.deepspeed is not None
    assert interpreter.deepspeed.version == "1.2.3"
    assert interpreter.deepspeed.installed_ops == {"good": True, "off": False}
    assert interpreter.deepspeed.accelerator == "cpu"
    assert interpreter.deepspeed.record_sha256 is not None
    assert not interpreter.deepspeed.is_editable
    assert interpreter.distributions == {"deepspeed": "1.2.3", "typing-extensions": "4.1"}
    assert interpreter.pip is None


def test_what_is_first_on_the_path_hides_the_rest(tmp_path: Path, environment: Path) -> None:
    other = tmp_path / "other"
    write(other, {"torch-1.dist-info/METADATA": ""})
    write(site_packages(environment), {"torch-2.dist-info/METADATA": "", "other.pth": str(other)})
    interpreter = facts(tmp_path, str(environment)).interpreter
    assert interpreter is not None
    assert interpreter.distributions == {"torch": "2"}


def test_an_editable_deepspeed_is_told(tmp_path: Path, environment: Path) -> None:
    url = json.dumps({"url": "file:///src", "dir_info": {"editable": True}})
    write(site_packages(environment), {"deepspeed-1.2.3.dist-info/direct_url.json": url})
    interpreter = facts(tmp_path, str(environment)).interpreter
    assert interpreter is not None
    assert interpreter.deepspeed is not None
    assert interpreter.deepspeed.is_editable


def test_an_interpreter_that_prints_at_start_is_still_read(tmp_path: Path, environment: Path) -> None:
    write(site_packages(environment), {"noise.pth": "import sys; print('welcome {')\n"})
    assert facts(tmp_path, str(environment)).interpreter is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no"),
        ("#!/bin/sh\necho hello\n", "does not answer like a Python: hello"),
        ("#!/bin/sh\nexit 5\n", "ended with 5"),
        ("#!/bin/sh\nkill -ILL $$\n", "SIGILL"),
        ("#!/bin/sh\necho 'dsdeploy: old Python 2.7.18'; exit 1\n", "is Python 2.7.18; 3.8 or newer"),
        ("#!/no/such/interpreter\n", "cannot be run"),
    ],
)
def test_an_interpreter_that_is_none_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    path = str(tmp_path / "bin" / "python") if text is None else program(tmp_path / "bin", "python", text)
    found = facts(tmp_path, path)
    assert found.interpreter is None
    assert found.interpreter_error is not None
    assert words in found.interpreter_error
    assert path in found.interpreter_error


def test_a_name_that_is_not_on_the_path_is_told(tmp_path: Path) -> None:
    found = facts(tmp_path, "python9.9")
    assert found.interpreter_error is not None
    assert "python9.9" in found.interpreter_error


def test_a_file_that_cannot_be_executed_is_told(tmp_path: Path) -> None:
    path = Path(program(tmp_path / "bin", "python", "#!/bin/sh\n"))
    path.chmod(stat.S_IRUSR)
    found = facts(tmp_path, str(path))
    assert found.interpreter_error == f"{path} cannot be executed"


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_agent_and_target_run_on_every_python(tmp_path: Path, version: str) -> None:
    python = working_python(version)
    if python is None:
        pytest.skip(f"there is no python{version} here")
    with AgentProcess(tmp_path, python=python) as agent:
        found = from_document(Facts, agent.ask("facts", python=python))
    assert found.interpreter is not None
    assert found.interpreter.version.startswith(f"{version}.")
    assert found.interpreter.abi_tag.startswith("cp" + version.replace(".", ""))
