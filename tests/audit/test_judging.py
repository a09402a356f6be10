"""What any wheel is to a host by what its files show, verdict by verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.contents import make_contents, make_library, with_code
from fakes.hosts import INTERPRETER, SYSTEM
from fakes.wheels import make_manifest

from orchestrator.audit.verdicts import judge
from orchestrator.model.audit import Aspect, Misfit, WheelContents
from orchestrator.model.facts import Facts, Gpu, Torch
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.wheels import OpRecord

PACKAGES = {"torch": "2.11.0", "nvidia-curand": "10.4"}


def make_facts(*capabilities: str, torch: Torch | None = None, driver: str = "580.65.06", **system: object) -> Facts:
    """A host with these GPUs, and a torch for CUDA."""
    torch = torch or Torch(version="2.11.0+cu130", cuda="13.0")
    return Facts(
        system=replace(SYSTEM, **system),  # type: ignore[arg-type]
        accelerator=Accelerator.CUDA if capabilities else Accelerator.CPU,
        gpus=tuple(
            Gpu(index=index, name="G", compute_capability=text, driver=driver)
            for index, text in enumerate(capabilities)
        ),
        interpreter=replace(INTERPRETER, torch=torch, distributions=PACKAGES),
    )


def misfits(contents: WheelContents, facts: Facts) -> list[str]:
    verdict = judge(contents, facts)
    assert verdict.fits is not bool(verdict.misfits)
    return [misfit.evidence for misfit in verdict.misfits]


def warnings(contents: WheelContents, facts: Facts) -> list[str]:
    assert judge(contents, facts).fits
    return [warning.evidence for warning in judge(contents, facts).warnings]


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-linux_x86_64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp39-abi3-manylinux2014_x86_64",
        "py3-none-manylinux1_x86_64",
        "py3-none-any",
        "cp312-cp312-linux_x86_64 cp311-cp311-linux_x86_64",
    ],
)
def test_a_wheel_that_pip_takes_there_fits(tag: str) -> None:
    assert judge(make_contents(make_library(), tag=tag), make_facts()) == judge(make_contents(), make_facts())
    assert misfits(make_contents(tag=tag), make_facts()) == []


@pytest.mark.parametrize(
    ("tag", "aspect"),
    [
        ("cp312-cp312-linux_x86_64", Aspect.PYTHON),
        ("cp312-abi3-linux_x86_64", Aspect.PYTHON),
        ("cp311-cp311-manylinux_2_39_x86_64", Aspect.PLATFORM),
        ("cp311-cp311-linux_aarch64", Aspect.PLATFORM),
        ("cp311-cp311-win_amd64", Aspect.PLATFORM),
    ],
)
def test_a_wheel_that_pip_refuses_there_does_not_fit(tag: str, aspect: Aspect) -> None:
    (misfit,) = judge(make_contents(tag=tag), make_facts()).misfits
    assert misfit == Misfit(aspect=aspect, evidence=f"is for {tag}, the host has cp311, x86_64, glibc 2.36")


def test_a_free_threaded_python_takes_no_abi3() -> None:
    facts = make_facts()
    assert facts.interpreter
    facts = replace(facts, interpreter=replace(facts.interpreter, abi_tag="cp313t"))
    assert misfits(make_contents(tag="cp313-cp313t-linux_x86_64"), facts) == []
    assert judge(make_contents(tag="cp39-abi3-linux_x86_64"), facts).misfits[0].aspect is Aspect.PYTHON


def test_a_host_without_an_interpreter_takes_nothing() -> None:
    facts = replace(make_facts(), interpreter=None, interpreter_error="no python3")
    assert misfits(make_contents(make_library(torch_symbols=("_ZN3c105ErrorE",))), facts) == [
        "the host has no interpreter: no python3"
    ]


def test_files_of_another_machine_are_found_under_any_name() -> None:
    contents = make_contents(make_library(machine="aarch64"), make_library())
    assert misfits(contents, make_facts()) == ["_C0 is for aarch64, the host is x86_64"]


def test_symbol_versions_above_the_hosts_are_told_with_who_needs_them() -> None:
    libraries = (make_library(glibc="2.38"), make_library(glibc="2.9", glibcxx="3.4.32"))
    assert misfits(make_contents(*libraries), make_facts()) == [
        "_C0 needs GLIBC_2.38, the host has 2.36",
        "_C1 needs GLIBCXX_3.4.32, the host has 3.4.30",
    ]


def test_avx512_does_not_fit_a_cpu_with_avx2() -> None:
    contents = make_contents(make_library(cpu_level=CpuLevel.X86_64_V4))
    assert misfits(contents, make_facts()) == [
        "_C0 has x86-64-v4 instructions, the host has x86-64-v3 (AMD EPYC)",
    ]
    assert misfits(contents, make_facts(cpu_level=CpuLevel.X86_64_V4)) == []


def test_a_cpu_that_nobody_knows_runs_plain_code_only() -> None:
    libraries = make_library(cpu_level=CpuLevel.X86_64_V1), make_library(cpu_level=CpuLevel.X86_64_V3), make_library()
    assert misfits(make_contents(*libraries), make_facts(cpu_level=CpuLevel.OTHER)) == [
        "_C1 has x86-64-v3 instructions, the host has other (AMD EPYC)",
    ]


def test_code_that_chooses_its_instructions_is_warned_of_only() -> None:
    contents = make_contents(make_library(cpu_level=CpuLevel.X86_64_V4, asks_the_cpu=True))
    (warning,) = warnings(contents, make_facts())
    assert warning.startswith("_C0 has x86-64-v4 instructions, and chooses them by what the CPU says")


def test_the_op_that_has_avx512_at_every_level_is_let_through() -> None:
    library = make_library(cpu_level=CpuLevel.X86_64_V4)
    path = "deepspeed/ops/comm/deepspeed_shm_comm_op.cpython-311-x86_64-linux-gnu.so"
    assert len(warnings(make_contents(shared_objects={path: library}), make_facts())) == 1


@pytest.mark.parametrize(
    ("needed", "evidence"),
    [
        ("libcudart.so.12", "_C0 needs libcudart.so.12, the host's torch is for CUDA 13.0"),
        ("libcublasLt.so.11", "_C0 needs libcublasLt.so.11, the host's torch is for CUDA 13.0"),
        ("libaio.so.1", "_C0 needs libaio.so.1, which the host lacks (apt install libaio1, dnf install libaio)"),
        ("libcuda.so.1", "_C0 needs libcuda.so.1, the NVIDIA driver's, which the host lacks"),
    ],
)
def test_a_library_that_the_host_lacks_is_a_misfit(needed: str, evidence: str) -> None:
    assert misfits(make_contents(make_library(needed=(needed,))), make_facts()) == [evidence]


def test_a_torch_without_cuda_has_none_of_its_libraries() -> None:
    facts = make_facts(torch=Torch(version="2.11.0+cpu"))
    assert misfits(make_contents(make_library(needed=("libc10.so", "libc10_cuda.so"))), facts) == [
        "_C0 needs libc10_cuda.so, the host's torch is without CUDA"
    ]


@pytest.mark.parametrize("needed", ["libcusparse.so.12", "libnccl.so.2", "libfoo.so.1"])
def test_a_library_that_nobody_is_known_to_bring_is_warned_of(needed: str) -> None:
    contents = make_contents(make_library(needed=(needed,)))
    assert warnings(contents, make_facts()) == [f"_C0 needs {needed}, which the host must have from elsewhere"]


def test_what_the_system_torch_nvidia_or_the_wheel_itself_bring_is_no_lack() -> None:
    needed = (
        "libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1", "ld-linux-x86-64.so.2", "libtorch_python.so",
        "libc10_cuda.so", "libcudart.so.13", "libcurand.so.10", "libcuda.so.1", "libpng.so.16", "libjpeg.so.8",
    )  # fmt: skip
    libraries = {
        "kernels/_C.so": make_library(needed=needed),
        "kernels.libs/libpng.so.16": make_library(),
        "kernels.libs/libjpeg-1.so": make_library(soname="libjpeg.so.8"),
    }
    verdict = judge(make_contents(shared_objects=libraries), make_facts("9.0"))
    assert (verdict.misfits, verdict.warnings) == ((), ())


def test_a_package_of_nvidias_brings_an_older_cuda() -> None:
    facts = make_facts()
    assert facts.interpreter
    interpreter = replace(facts.interpreter, distributions={"nvidia-cuda-runtime-cu12": "12.8"})
    contents = make_contents(make_library(needed=("libcudart.so.12",)))
    assert misfits(contents, replace(facts, interpreter=interpreter)) == []


def test_packages_of_the_machine_that_built_it_are_not_on_a_host() -> None:
    folders = ("$ORIGIN/../site-packages/x", "/opt/conda/lib", "/home/b/site-packages/dskernels")
    (evidence,) = misfits(make_contents(make_library(search_path=folders)), make_facts())
    assert evidence.startswith("_C0 looks for libraries in /home/b/site-packages/dskernels, of")


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"torch": {"version": "2.10"}}, "was built for torch 2.10, the host has 2.11.0+cu130"),
        (
            {"torch": {"version": "2.11", "cuda_version": "12.8"}},
            "was built for a torch for CUDA 12.8, the host has 13.0",
        ),
        ({"torch": {"hip_version": "6.4"}}, "was built for a torch for HIP 6.4, the host has none"),
        ({"requires": ("numpy", "torch (==2.10.0)")}, "requires torch==2.10.0, the host has 2.11.0+cu130"),
    ],
)
def test_another_torch_than_it_says_to_need_does_not_fit(changes: dict[str, Any], evidence: str) -> None:
    (misfit,) = judge(make_contents(**changes), make_facts()).misfits
    assert misfit == Misfit(aspect=Aspect.TORCH, evidence=evidence)


def test_the_torch_that_it_says_to_need_fits() -> None:
    record = {"version": "2.11", "cuda_version": "13.0", "hip_version": "0.0"}
    requires = ("torch==2.11.*", 'torch==1.0; extra == "old"', "torch !!")
    assert misfits(make_contents(torch=record, requires=requires), make_facts()) == []


def test_a_host_without_torch_gives_no_symbols() -> None:
    facts = make_facts()
    assert facts.interpreter
    facts = replace(facts, interpreter=replace(facts.interpreter, torch=None))
    library = make_library(torch_symbols=("_ZN3c105ErrorE",))
    assert misfits(make_contents(library), facts) == ["needs torch, the host has none"]


def test_the_other_cxx11_abi_is_told_with_who_has_it() -> None:
    contents = make_contents(make_library(cxx11_abi=False), make_library(cxx11_abi=True), make_library())
    assert misfits(contents, make_facts()) == [
        "_C0 is for a torch with C++11 ABI off, the host's torch 2.11.0+cu130 has it on"
    ]


def test_machine_code_for_none_of_the_hosts_gpus_does_not_fit() -> None:
    assert misfits(make_contents(with_code("sm_90")), make_facts("8.6", "8.6", "9.0")) == [
        "holds sm_90 only, the host has sm_86 (G)"
    ]


def test_ptx_that_the_driver_can_compile_is_warned_of_only() -> None:
    contents = make_contents(with_code("sm_80", "compute_80"))
    assert warnings(contents, make_facts("8.6")) == []
    assert warnings(contents, make_facts("9.0")) == [
        "_C0 holds PTX only, which the driver must compile first: the host has sm_90 (G)"
    ]


def test_a_library_without_code_for_a_gpu_that_others_serve_is_warned_of() -> None:
    contents = make_contents(with_code("sm_90"), with_code("sm_80"), make_library())
    assert warnings(contents, make_facts("8.0")) == ["_C0 holds no code for it: the host has sm_80 (G)"]


def test_gpu_code_of_an_unknown_form_is_warned_of() -> None:
    contents = make_contents(make_library(has_device_code=True, unread_gpu_code="kind 8"), with_code("sm_90"))
    assert warnings(contents, make_facts("9.0")) == ["_C0 has GPU code that cannot be read: kind 8"]


def test_gpu_code_of_libraries_that_it_brings_along_does_not_count() -> None:
    libraries = {"kernels/_C.so": with_code("sm_90"), "kernels.libs/libnvjpeg.so.13": with_code("sm_80")}
    assert misfits(make_contents(shared_objects=libraries), make_facts("8.0")) == [
        "holds sm_90 only, the host has sm_80 (G)"
    ]


@pytest.mark.parametrize(
    ("runtime", "driver", "does_fit"),
    [
        ("libcudart.so.13", "580.65.06", True),
        ("libcudart.so.13", "570.86.15", False),
        ("libcudart.faf08d9a.so.13", "570.86.15", False),
        ("libcudart-faf08d9a.so.11.0", "450.36", True),
        ("libcudart-faf08d9a.so.12", "520.61", False),
        ("libcudart-faf08d9a.so.12", "unknown", True),
        ("libcudart-faf08d9a.so.99", "525.60", True),
    ],
)
def test_a_driver_older_than_the_runtime_needs_does_not_fit(runtime: str, driver: str, *, does_fit: bool) -> None:
    libraries = {"kernels/_C.so": make_library(needed=(runtime,)), f"kernels.libs/{runtime}": make_library()}
    assert (misfits(make_contents(shared_objects=libraries), make_facts("9.0", driver=driver)) == []) is does_fit


def test_a_driver_that_is_too_old_is_told_with_both_versions() -> None:
    contents = make_contents(make_library(needed=("libcudart.so.13",)))
    assert misfits(contents, make_facts("9.0", "9.0", driver="570.86")) == [
        "is linked with CUDA 13, which needs driver 580 or newer, the host has 570.86"
    ]


def test_what_a_manifest_tells_already_is_not_told_again() -> None:
    contents = make_contents(make_library(glibc="2.38"), manifest=make_manifest(glibc="2.38"))
    torch = Torch(version="2.13.0+cpu")
    assert misfits(contents, make_facts(torch=torch)) == ["the wheel needs GLIBC_2.38, the host has 2.36"]


def test_every_library_that_the_files_lack_is_told_whatever_the_manifest_says() -> None:
    manifest = make_manifest(ops=(OpRecord(name="async_io", is_built=True, needed=("libaio.so.1",)),))
    contents = make_contents(make_library(needed=("libaio.so.1", "libcuda.so.1")), manifest=manifest)
    told = misfits(contents, make_facts(torch=Torch(version="2.13.0+cpu")))
    assert [evidence.split(",")[0] for evidence in told] == ["_C0 needs libaio.so.1", "_C0 needs libcuda.so.1"]
