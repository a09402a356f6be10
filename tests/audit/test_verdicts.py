"""Whether a wheel fits a host, aspect by aspect, with the evidence that is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.hosts import INTERPRETER, SYSTEM
from fakes.wheels import make_manifest, make_signature

from orchestrator.audit.verdicts import audit
from orchestrator.model.audit import Aspect
from orchestrator.model.facts import Facts, Gpu, Torch
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.wheels import Manifest, OpRecord

FACTS = Facts(system=SYSTEM, accelerator=Accelerator.CPU, interpreter=INTERPRETER)
GPU_MANIFEST = make_manifest(
    signature=make_signature(
        accelerator=Accelerator.CUDA, gpu_archs=("sm_80", "sm_90"), torch_version="2.11.0+cu130", torch_cuda="13.0"
    )
)


def gpu_facts(*capabilities: str) -> Facts:
    gpus = tuple(Gpu(index=index, name="H", compute_capability=text) for index, text in enumerate(capabilities))
    torch = Torch(version="2.11.0+cu130", cuda="13.0")
    return replace(FACTS, accelerator=Accelerator.CUDA, gpus=gpus, interpreter=replace(INTERPRETER, torch=torch))


def test_the_host_that_it_was_built_for_fits() -> None:
    assert audit(make_manifest(), FACTS) == ()
    assert audit(GPU_MANIFEST, gpu_facts("9.0", "8.0")) == ()


def test_another_python_does_not_fit() -> None:
    (misfit,) = audit(make_manifest(), replace(FACTS, interpreter=replace(INTERPRETER, abi_tag="cp313t")))
    assert misfit.aspect is Aspect.PYTHON
    assert misfit.evidence == f"built for cp311, the host has cp313t ({INTERPRETER.executable})"


def test_a_host_without_an_interpreter_is_one_misfit() -> None:
    (misfit,) = audit(make_manifest(), replace(FACTS, interpreter=None, interpreter_error="no python3"))
    assert misfit.evidence == "built for cp311, the host has no interpreter: no python3"


def test_another_machine_is_told_once() -> None:
    system = replace(SYSTEM, machine="aarch64", cpu_level=CpuLevel.ARMV8)
    (misfit,) = audit(make_manifest(), replace(FACTS, system=system))
    assert misfit.evidence == "built for x86_64, the host is aarch64"


@pytest.mark.parametrize("level", [CpuLevel.X86_64_V1, CpuLevel.X86_64_V2, CpuLevel.OTHER])
def test_a_lower_cpu_does_not_fit(level: CpuLevel) -> None:
    (misfit,) = audit(make_manifest(), replace(FACTS, system=replace(SYSTEM, cpu_level=level)))
    assert misfit.aspect is Aspect.CPU
    assert misfit.evidence == f"uses x86-64-v3 instructions, the host has {level.value} ({SYSTEM.cpu_model})"


def test_a_higher_cpu_fits() -> None:
    assert audit(make_manifest(), replace(FACTS, system=replace(SYSTEM, cpu_level=CpuLevel.X86_64_V4))) == ()


@pytest.mark.parametrize(
    ("needs", "has", "evidence"),
    [
        ("2.38", "2.36", "cpu_adam needs GLIBC_2.38, the host has 2.36"),
        ("2.10", "2.9", "cpu_adam needs GLIBC_2.10, the host has 2.9"),
        ("2.17", None, "cpu_adam needs GLIBC_2.17, the host has none"),
    ],
)
def test_an_older_glibc_does_not_fit(needs: str, has: str | None, evidence: str) -> None:
    ops = (OpRecord(name="cpu_adam", is_built=True, glibc=needs), OpRecord(name="other", is_built=True, glibc="2.2.5"))
    manifest = make_manifest(glibc=needs, ops=ops)
    (misfit,) = audit(manifest, replace(FACTS, system=replace(SYSTEM, glibc=has)))
    assert (misfit.aspect, misfit.evidence) == (Aspect.GLIBC, evidence)


def test_the_floor_is_what_the_files_need_not_what_the_builder_had() -> None:
    system = replace(SYSTEM, glibc="2.31", glibcxx="3.4.28")
    assert audit(make_manifest(glibc="2.17", glibcxx="3.4.21"), replace(FACTS, system=system)) == ()


def test_an_older_libstdcxx_does_not_fit() -> None:
    (misfit,) = audit(make_manifest(glibcxx="3.4.31"), FACTS)
    assert misfit.aspect is Aspect.GLIBCXX
    assert misfit.evidence == "the wheel needs GLIBCXX_3.4.31, the host has 3.4.30"


@pytest.mark.parametrize(
    ("torch", "evidence"),
    [
        (None, "built for torch 2.13.0+cpu, the host has no torch"),
        (Torch(version="2.12.0+cpu"), "built for torch 2.13.0+cpu, the host has 2.12.0+cpu"),
        (Torch(version="2.13.0+cpu", cuda="13.0"), "built for a torch for CUDA none, the host has 13.0"),
        (Torch(version="2.13.0+cpu", cxx11_abi=False), "built for a torch with C++11 ABI on, the host has off"),
    ],
)
def test_another_torch_does_not_fit(torch: Torch | None, evidence: str) -> None:
    (misfit,) = audit(make_manifest(), replace(FACTS, interpreter=replace(INTERPRETER, torch=torch)))
    assert (misfit.aspect, misfit.evidence) == (Aspect.TORCH, evidence)


def test_a_gpu_wheel_does_not_fit_a_host_without_gpus() -> None:
    (misfit,) = audit(GPU_MANIFEST, replace(gpu_facts(), accelerator=Accelerator.CPU))
    assert (misfit.aspect, misfit.evidence) == (Aspect.ACCELERATOR, "built for cuda, the host has cpu")


def test_a_cpu_wheel_fits_a_host_with_gpus() -> None:
    gpu = Gpu(index=0, name="H", compute_capability="9.0")
    assert audit(make_manifest(), replace(FACTS, accelerator=Accelerator.CUDA, gpus=(gpu,))) == ()


def test_a_gpu_that_the_wheel_has_no_code_for_is_told_once() -> None:
    (misfit,) = audit(GPU_MANIFEST, gpu_facts("9.0", "12.0", "12.0"))
    assert misfit.aspect is Aspect.GPU_ARCH
    assert misfit.evidence == "holds sm_80, sm_90, the host has sm_120 (H)"


@pytest.mark.parametrize(
    ("code", "capability", "does_run"),
    [
        ("sm_80", "8.6", True),
        ("sm_86", "8.0", False),
        ("sm_80", "9.0", False),
        ("sm_90a", "9.0", True),
        ("sm_100a", "10.3", False),
        ("sm_100f", "10.3", True),
        ("sm_100", "10.3", True),
        ("sm_12", "12.0", False),
    ],
)
def test_code_runs_within_its_major(code: str, capability: str, *, does_run: bool) -> None:
    manifest = replace(GPU_MANIFEST, signature=replace(GPU_MANIFEST.signature, gpu_archs=(code,)))
    assert (audit(manifest, gpu_facts(capability)) == ()) is does_run


def holding(*ops: OpRecord) -> Manifest:
    return replace(GPU_MANIFEST, ops=ops)


def test_what_was_found_in_the_files_counts_more_than_what_was_ordered() -> None:
    manifest = holding(OpRecord(name="fused_adam", is_built=True, gpu_archs=("sm_90",)))
    assert audit(manifest, gpu_facts("9.0")) == ()
    (misfit,) = audit(manifest, gpu_facts("8.0"))
    assert misfit.evidence == "holds sm_90, the host has sm_80 (H)"


def test_ptx_serves_a_newer_gpu() -> None:
    manifest = holding(OpRecord(name="quantizer", is_built=True, gpu_archs=("sm_80",), ptx_archs=("compute_80",)))
    assert audit(manifest, gpu_facts("12.0")) == ()
    (misfit,) = audit(manifest, gpu_facts("7.5"))
    assert misfit.evidence == "holds compute_80, sm_80, the host has sm_75 (H)"


def test_an_op_that_is_too_new_for_a_gpu_leaves_the_wheel_to_the_others() -> None:
    manifest = holding(
        OpRecord(name="fused_adam", is_built=True, gpu_archs=("sm_75", "sm_80")),
        OpRecord(name="ragged_ops", is_built=True, gpu_archs=("sm_80",)),
        OpRecord(name="cpu_adam", is_built=True),
    )
    assert audit(manifest, gpu_facts("7.5")) == ()


def test_a_library_that_looks_in_a_folder_of_another_machine_does_not_fit() -> None:
    ops = (
        OpRecord(
            name="ragged_ops",
            is_built=True,
            search_path=(
                "$ORIGIN/../../dskernels",
                "/home/b/lib/python3.12/site-packages/dskernels",
                "/opt/conda/lib",
                "",
            ),
        ),
        OpRecord(name="cutlass_ops", is_built=True, search_path=("$ORIGIN/../../dskernels", "${ORIGIN}")),
    )
    (misfit,) = audit(make_manifest(ops=ops), FACTS)
    assert misfit.aspect is Aspect.LIBRARY
    assert "looks for libraries in /home/b/lib/python3.12/site-packages/dskernels, of the" in misfit.evidence


def test_amd_code_runs_on_its_own_arch_only() -> None:
    rocm = {"accelerator": Accelerator.ROCM, "torch_hip": "6.4"}
    manifest = make_manifest(signature=make_signature(gpu_archs=("gfx942",), **rocm))
    torch = Torch(version="2.13.0+cpu", hip="6.4")
    facts = replace(FACTS, accelerator=Accelerator.ROCM, interpreter=replace(INTERPRETER, torch=torch))
    fits, fails = (replace(facts, gpus=(Gpu(index=0, name="MI", gfx=arch),)) for arch in ("gfx942", "gfx90a"))
    assert audit(manifest, fits) == ()
    assert [misfit.evidence for misfit in audit(manifest, fails)] == ["holds gfx942, the host has gfx90a (MI)"]


def test_all_misfits_are_told_together() -> None:
    system = replace(SYSTEM, glibc="2.17", cpu_level=CpuLevel.X86_64_V2)
    interpreter = replace(INTERPRETER, abi_tag="cp310", torch=None)
    misfits = audit(make_manifest(glibc="2.34"), replace(FACTS, system=system, interpreter=interpreter))
    assert [misfit.aspect for misfit in misfits] == [Aspect.PYTHON, Aspect.CPU, Aspect.GLIBC, Aspect.TORCH]


def test_a_host_without_libaio_cannot_load_async_io() -> None:
    record = OpRecord(name="async_io", is_built=True, needed=("libaio.so.1", "libc10.so"))
    manifest = make_manifest(ops=(record,))
    (misfit,) = audit(manifest, replace(FACTS, has_libaio_runtime=False))
    assert misfit.aspect is Aspect.LIBRARY
    assert audit(manifest, replace(FACTS, has_libaio_runtime=True)) == ()
