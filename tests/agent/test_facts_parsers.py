from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.agent.errors import AgentError
from orchestrator.agent.facts_gpus import capability_by_name, parse_amd_smi, parse_nvidia_smi, parse_rocminfo
from orchestrator.agent.facts_system import cpu_level, cpu_model, highest_glibcxx, os_name
from orchestrator.agent.installer import first_error
from orchestrator.agent.staging import refuse_interpreter
from orchestrator.agent.ways import name_and_version
from orchestrator.model.codec import from_document
from orchestrator.model.facts import Gpu
from orchestrator.model.signature import CpuLevel

CAPTURES = Path(__file__).parents[1] / "captures"
V2 = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"
H100 = "0, NVIDIA H100 80GB HBM3, 81559, 550.54.15, GPU-3f0c"


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("fpu sse sse2", CpuLevel.X86_64_V1),
        (V2, CpuLevel.X86_64_V2),
        (V3, CpuLevel.X86_64_V3),
        (V3.replace("movbe", ""), CpuLevel.X86_64_V2),
        (f"{V3} avx512f", CpuLevel.X86_64_V3),
        (V4, CpuLevel.X86_64_V4),
        (V4.replace("ssse3", ""), CpuLevel.X86_64_V1),
    ],
)
def test_the_x86_level_needs_every_flag_up_to_it(flags: str, level: CpuLevel) -> None:
    assert CpuLevel(cpu_level("x86_64", f"processor\t: 0\nflags\t\t: {flags}\n")) is level


def test_the_weakest_core_decides() -> None:
    assert cpu_level("x86_64", f"flags\t: {V4}\n\nflags\t: {V3}\n") == "x86-64-v3"


def test_aarch64_levels() -> None:
    assert cpu_level("aarch64", "Features\t: fp asimd\n") == "armv8-a"
    assert cpu_level("aarch64", "Features\t: fp asimd sve\n") == "armv8-a+sve"
    assert cpu_level("riscv64", "") == "other"


def test_a_cpu_without_a_name_is_told_by_its_numbers() -> None:
    assert cpu_model("model name\t: AMD EPYC 9654\n") == "AMD EPYC 9654"
    assert cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xd4f\n") == "implementer 0x41 part 0xd4f"
    assert cpu_model("") is None


def test_the_highest_glibcxx_is_a_number_not_a_text() -> None:
    assert highest_glibcxx(b"\0GLIBCXX_3.4\0GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0GLIBCXX_DEBUG\0") == "3.4.30"
    assert highest_glibcxx(b"nothing") is None


def test_the_os_has_its_pretty_name() -> None:
    assert os_name('NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n') == "Debian GNU/Linux 12 (bookworm)"


def test_nvidia_smi_is_read_with_its_compute_capability() -> None:
    (gpu,) = (from_document(Gpu, document) for document in parse_nvidia_smi(f"{H100}, 9.0\n"))
    assert gpu == Gpu(
        index=0,
        name="NVIDIA H100 80GB HBM3",
        compute_capability="9.0",
        memory_bytes=81559 * 1024 * 1024,
        driver="550.54.15",
        uuid="GPU-3f0c",
    )


def test_an_old_driver_s_gpus_are_told_by_name() -> None:
    (gpu,) = parse_nvidia_smi(f"{H100}\n")
    assert gpu["compute_capability"] == "9.0"
    assert capability_by_name("Tesla V100-SXM2-32GB") == "7.0"
    assert capability_by_name("NVIDIA A100-SXM4-80GB") == "8.0"
    assert capability_by_name("NVIDIA A10") == "8.6"
    assert capability_by_name("NVIDIA L40S") == "8.9"
    assert capability_by_name("Some Future GPU") is None


def test_lines_that_are_no_gpus_are_left_out() -> None:
    assert parse_nvidia_smi("No devices were found\n") == []


def test_rocminfo_gives_the_gpu_agents_only() -> None:
    (gpu,) = parse_rocminfo((CAPTURES / "rocminfo" / "mi300x.txt").read_text(encoding="utf-8"))
    found = from_document(Gpu, gpu)
    assert (found.name, found.gfx, found.compute_capability) == ("AMD Instinct MI300X", "gfx942", None)
    assert found.memory_bytes == 201310208 * 1024


@pytest.mark.parametrize("around", ["{}", '{{"gpu_data": {}}}', "WARNING: not in the render group\n{}"])
def test_amd_smi_is_read_in_both_shapes(around: str) -> None:
    text = around.format((CAPTURES / "amd-smi" / "mi300x.json").read_text(encoding="utf-8"))
    (gpu,) = parse_amd_smi(text)
    assert from_document(Gpu, gpu).gfx == "gfx942"
    assert gpu["driver"] == "6.10.5"
    assert gpu["memory_bytes"] == 196592 * 1024 * 1024


def test_pip_s_first_error_is_the_cause() -> None:
    lines = ["WARNING: x", "ERROR: Could not find a version that satisfies einops", "ERROR: No matching distribution"]
    assert first_error(lines) == "Could not find a version that satisfies einops"
    assert first_error(["Killed"]) == "Killed"


def test_a_wheel_s_file_name_says_name_and_version() -> None:
    assert name_and_version("/x/typing_extensions-4.16.0-py3-none-any.whl") == ("typing-extensions", "4.16.0")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"is_externally_managed": True}, "PEP 668"),
        ({"is_writable": False}, "/lib is not writable"),
        ({"deepspeed": {"version": "1", "location": "/src", "is_editable": True}}, "editable"),
    ],
)
def test_an_interpreter_that_must_be_left_alone_is_refused_with_the_way_out(
    fault: dict[str, object], words: str
) -> None:
    sound = {
        "executable": "/py",
        "platlib": "/lib",
        "is_externally_managed": False,
        "is_writable": True,
        "deepspeed": None,
    }
    refuse_interpreter(sound)
    with pytest.raises(AgentError, match=words) as refused:
        refuse_interpreter({**sound, **fault})
    assert refused.value.kind == "install"
    assert refused.value.hint
