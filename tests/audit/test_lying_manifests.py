"""A wheel whose manifest says that it fits, and whose files do not, is caught by the files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from crafted_objects import SCALE, compile_calling, compile_linked_with, compile_needing, compile_op, on_x86
from fakes.hosts import make_facts
from fakes.wheels import make_manifest, make_signature, make_wheel

from orchestrator.audit.verdicts import audit, judge
from orchestrator.audit.wheels import read_wheel
from orchestrator.model.facts import Facts
from orchestrator.model.signature import CpuLevel

pytestmark = pytest.mark.process

FATBINS = Path(__file__).parents[1] / "captures" / "fatbin"
INSIDE = "deepspeed/ops/adam/cpu_adam_op.cpython-311-x86_64-linux-gnu.so"
OLD_ABI = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"


def evidence_of(folder: Path, library: Path, facts: Facts | None = None) -> list[str]:
    """What is told of a wheel of this library, whose manifest fits the host."""
    facts = facts or make_facts()
    manifest = make_manifest(signature=make_signature(cpu_level=facts.system.cpu_level))
    assert audit(manifest, facts) == ()
    wheel = make_wheel(folder, files={INSIDE: library.read_bytes()}, manifest=manifest)
    return [misfit.evidence for misfit in judge(read_wheel(wheel), facts).misfits]


def test_an_honest_one_fits(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, compile_needing(tmp_path, "GLIBC_2.36")) == []


def test_a_newer_glibc(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, compile_needing(tmp_path, "GLIBC_2.38")) == [
        "cpu_adam_op needs GLIBC_2.38, the host has 2.36"
    ]


def test_a_newer_libstdcxx(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, compile_needing(tmp_path, "GLIBCXX_3.4.32", "libstdc++.so.6")) == [
        "cpu_adam_op needs GLIBCXX_3.4.32, the host has 3.4.30"
    ]


@on_x86
def test_newer_instructions(tmp_path: Path) -> None:
    facts = make_facts()
    library = compile_op(tmp_path, SCALE, "-O3", "-march=x86-64-v4", "-mprefer-vector-width=512")
    assert facts.system.cpu_level is CpuLevel.X86_64_V3
    assert evidence_of(tmp_path, library, facts) == [
        "cpu_adam_op has x86-64-v4 instructions, the host has x86-64-v3 (AMD EPYC)"
    ]


def test_the_old_abi(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, compile_calling(tmp_path, OLD_ABI)) == [
        "cpu_adam_op is for a torch with C++11 ABI off, the host's torch 2.13.0+cpu has it on"
    ]


def test_another_cuda_runtime(tmp_path: Path) -> None:
    assert evidence_of(tmp_path, compile_linked_with(tmp_path, "libcudart.so.12")) == [
        "cpu_adam_op needs libcudart.so.12, the host's torch is without CUDA"
    ]


@pytest.mark.parametrize("section", [".nv_fatbin", "__nv_relfatbin"])
def test_gpu_code_is_read_wherever_nvcc_puts_it(tmp_path: Path, section: str) -> None:
    library, target = compile_op(tmp_path, SCALE), tmp_path / "kernel.so"
    fatbin = FATBINS / "sm_80+sm_90+compute_90.fatbin"
    subprocess.run(["objcopy", "--add-section", f"{section}={fatbin}", library, target], check=True)
    contents = read_wheel(make_wheel(tmp_path, files={INSIDE: target.read_bytes()}))
    assert contents.shared_objects[INSIDE].gpu_archs == ("sm_80", "sm_90")
    assert contents.shared_objects[INSIDE].ptx_archs == ("compute_90",)
