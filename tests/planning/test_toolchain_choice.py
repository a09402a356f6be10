"""What a machine compiles with, and everything that keeps it from compiling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planning_worlds import CUDA_TORCH, FACTS, GPP, GPU_FACTS, NVCC, PYTHON, RECIPE, SIGNATURE, with_system, with_torch

from orchestrator.model.facts import Disk, Facts, Tool
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind, ToolchainPolicy
from orchestrator.planning.toolchains import choose_toolchain

CUDA_SIGNATURE = replace(
    SIGNATURE, accelerator=Accelerator.CUDA, torch_version="2.13.0+cu130", torch_cuda="13.0", gpu_archs=("sm_90",)
)
CUDA_12 = replace(CUDA_SIGNATURE, torch_version="2.6.0+cu124", torch_cuda="12.4")
LEVEL_1 = replace(SIGNATURE, cpu_level=CpuLevel.X86_64_V1)
NO_NVCC = replace(GPU_FACTS, nvcc=None, cuda_home=None)


def chosen(machine: Facts, signature: Signature, recipe: Recipe = RECIPE, *, is_controller: bool = False) -> Toolchain:
    found = choose_toolchain(machine, signature, recipe, is_controller=is_controller)
    assert isinstance(found, Toolchain)
    return found


def lacks(
    machine: Facts, signature: Signature, recipe: Recipe = RECIPE, *, is_controller: bool = False
) -> tuple[str, ...]:
    found = choose_toolchain(machine, signature, recipe, is_controller=is_controller)
    assert not isinstance(found, Toolchain)
    return found.reasons


def on(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, system=replace(facts.system, **changes))


def gpp(version: str, path: str = "/usr/bin/g++", *, facts: Facts = FACTS) -> Facts:
    return replace(facts, compilers=(Tool(path=path, version=version),))


def with_nvcc(version: str, facts: Facts = GPU_FACTS) -> Facts:
    return replace(facts, nvcc=Tool(path="/opt/cuda/bin/nvcc", version=version), cuda_home="/opt/cuda")


@pytest.mark.parametrize(
    ("machine", "signature"),
    [
        (FACTS, SIGNATURE),
        (gpp("11.1.0"), SIGNATURE),
        (gpp("9.4.0"), LEVEL_1),
        (gpp("14.0.6", "/usr/bin/clang++"), SIGNATURE),
        (replace(FACTS, compilers=(Tool(path="/bin/c++", error="exit 1"), GPP)), SIGNATURE),
        (replace(FACTS, disks=()), SIGNATURE),
        (GPU_FACTS, CUDA_SIGNATURE),
        (replace(with_torch(FACTS, CUDA_TORCH), nvcc=NVCC, cuda_home="/usr/local/cuda"), CUDA_SIGNATURE),
    ],
)
def test_a_machine_with_everything_compiles_with_its_own(machine: Facts, signature: Signature) -> None:
    assert chosen(machine, signature).kind is ToolchainKind.HOST
    assert chosen(machine, signature, is_controller=True).kind is ToolchainKind.SYSTEM


@pytest.mark.parametrize(
    ("machine", "signature", "word"),
    [
        (replace(FACTS, compilers=()), SIGNATURE, "found: none"),
        (gpp("10.2.1"), SIGNATURE, "GCC 11"),
        (gpp("8.5.0"), LEVEL_1, "GCC 9"),
        (gpp("11.1.0", "/usr/bin/clang++-11"), SIGNATURE, "clang++-11"),
        (replace(FACTS, compilers=(Tool(path="/bin/c++", error="exit 1"),)), SIGNATURE, "exit 1"),
        (with_system(machine="aarch64"), SIGNATURE, "aarch64"),
        (replace(FACTS, interpreter=None), SIGNATURE, "interpreter"),
        (replace(FACTS, interpreter=replace(PYTHON, abi_tag="cp312")), SIGNATURE, "cp312"),
        (on(FACTS, memory_available_bytes=900_000_000), SIGNATURE, "0.9 GB"),
        (replace(FACTS, disks=(Disk(role="cache", path="/c", free_bytes=1),)), SIGNATURE, "/c has 0.0 GB"),
        (on(GPU_FACTS, memory_available_bytes=3_000_000_000), CUDA_SIGNATURE, "3.0 GB"),
        (FACTS, replace(SIGNATURE, accelerator=Accelerator.ROCM), "ROCm"),
    ],
)
def test_a_lack_is_named(machine: Facts, signature: Signature, word: str) -> None:
    (lack,) = lacks(machine, signature)
    assert word in lack


def test_all_lacks_are_told_at_once() -> None:
    machine = on(replace(FACTS, compilers=(), interpreter=None), memory_available_bytes=1)
    assert len(lacks(machine, SIGNATURE)) == 3


def test_a_cpu_wheel_needs_no_toolkit_whatever_the_policy_for_it_says() -> None:
    for policy in ToolchainPolicy:
        toolchain = chosen(FACTS, SIGNATURE, replace(RECIPE, toolchain=policy))
        assert toolchain == Toolchain(kind=ToolchainKind.HOST, reason="", cxx="/usr/bin/g++", cxx_version="12.2.0")


def test_an_own_toolkit_is_told_with_its_place_and_versions() -> None:
    assert chosen(with_nvcc("13.0.88"), CUDA_SIGNATURE, is_controller=True) == Toolchain(
        kind=ToolchainKind.SYSTEM,
        reason="its own toolkit",
        cxx="/usr/bin/g++",
        cxx_version="12.2.0",
        cuda="13.0",
        nvcc_version="13.0.88",
        cuda_home="/opt/cuda",
    )


def test_without_nvcc_the_toolkit_of_torch_s_cuda_comes_from_wheels() -> None:
    for is_controller in (False, True):
        toolchain = chosen(NO_NVCC, CUDA_SIGNATURE, is_controller=is_controller)
        assert (toolchain.kind, toolchain.cuda) == (ToolchainKind.WHEELS, "13.0")
        assert (toolchain.nvcc_version, toolchain.cuda_home) == (None, None)
        assert toolchain.requirements == ("cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,profiler]==13.0.*",)
        assert "no working nvcc" in toolchain.reason


def test_a_torch_that_does_not_bring_curand_gets_it_with_the_toolkit() -> None:
    signature = replace(CUDA_SIGNATURE, torch_version="2.15.0+cu132", torch_cuda="13.2")
    assert chosen(NO_NVCC, signature).requirements == (
        "cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,profiler,curand]==13.2.*",
    )


@pytest.mark.parametrize("version", ["12.4.131", "13.1.80"])
def test_an_nvcc_of_another_cuda_gives_way_to_wheels(version: str) -> None:
    toolchain = chosen(with_nvcc(version), CUDA_SIGNATURE)
    assert (toolchain.kind, toolchain.cuda) == (ToolchainKind.WHEELS, "13.0")
    assert version in toolchain.reason


def test_a_broken_nvcc_gives_way_to_wheels() -> None:
    broken = replace(GPU_FACTS, nvcc=Tool(path="/nvcc", error="exit 127"))
    assert chosen(broken, CUDA_SIGNATURE).kind is ToolchainKind.WHEELS


def test_wheels_are_taken_though_there_is_an_nvcc_when_the_recipe_says_so() -> None:
    toolchain = chosen(GPU_FACTS, CUDA_SIGNATURE, replace(RECIPE, toolchain=ToolchainPolicy.WHEELS))
    assert (toolchain.kind, toolchain.cuda_home) == (ToolchainKind.WHEELS, None)


@pytest.mark.parametrize(
    ("policy", "is_controller", "kind"),
    [(ToolchainPolicy.SYSTEM, True, ToolchainKind.SYSTEM), (ToolchainPolicy.HOST, False, ToolchainKind.HOST)],
)
def test_a_policy_keeps_to_its_own_machine_and_never_takes_wheels(
    policy: ToolchainPolicy, kind: ToolchainKind, *, is_controller: bool
) -> None:
    recipe = replace(RECIPE, toolchain=policy)
    assert chosen(GPU_FACTS, CUDA_SIGNATURE, recipe, is_controller=is_controller).kind is kind
    (lack,) = lacks(GPU_FACTS, CUDA_SIGNATURE, recipe, is_controller=not is_controller)
    assert f"toolchain: {policy.value}" in lack
    (lack,) = lacks(NO_NVCC, CUDA_SIGNATURE, recipe, is_controller=is_controller)
    assert "no working nvcc" in lack


def test_wheels_for_cuda_12_are_refused_with_every_other_way() -> None:
    (lack,) = lacks(NO_NVCC, CUDA_12, replace(RECIPE, toolchain=ToolchainPolicy.WHEELS))
    for word in ("13.0", "12.4", "NVIDIA's packages", "conda", "--builder HOST"):
        assert word in lack
    own, wheels = lacks(NO_NVCC, CUDA_12)
    assert "no working nvcc" in own
    assert wheels == lack


def test_an_nvcc_12_builds_for_another_torch_of_cuda_12() -> None:
    signature = replace(CUDA_12, torch_cuda="12.8")
    toolchain = chosen(with_nvcc("12.4.131"), signature)
    assert (toolchain.kind, toolchain.cuda) == (ToolchainKind.HOST, "12.4")


def test_another_minor_is_taken_when_the_recipe_skips_the_check() -> None:
    machine = with_nvcc("13.1.80")
    recipe = replace(RECIPE, toolchain=ToolchainPolicy.HOST)
    (lack,) = lacks(machine, CUDA_SIGNATURE, recipe)
    assert "13.1.80" in lack
    assert "skip_cuda_check" in lack
    assert chosen(machine, CUDA_SIGNATURE, replace(recipe, skip_cuda_check=True)).cuda == "13.1"


def test_another_major_is_not_taken_even_when_the_recipe_skips_the_check() -> None:
    recipe = replace(RECIPE, toolchain=ToolchainPolicy.HOST, skip_cuda_check=True)
    (lack,) = lacks(with_nvcc("12.4.131"), CUDA_SIGNATURE, recipe)
    assert "CUDA 13.0" in lack


def test_a_gpu_that_nvcc_does_not_know_is_refused_before_anything_compiles() -> None:
    own, _ = lacks(with_nvcc("12.4.131"), replace(CUDA_12, gpu_archs=("sm_90", "sm_120")))
    assert "sm_120" in own
    assert "CUDA 12.8" in own


def test_a_gpu_that_cuda_13_dropped_is_refused_from_wheels_too() -> None:
    for machine in (NO_NVCC, with_nvcc("13.0.88")):
        assert any("sm_70" in lack for lack in lacks(machine, replace(CUDA_SIGNATURE, gpu_archs=("sm_70",))))


def test_the_first_compiler_that_nvcc_accepts_is_taken() -> None:
    compilers = (
        Tool(path="/usr/bin/g++", version="15.1.0"),
        Tool(path="/usr/bin/clang++", version="18.1.3"),
        Tool(path="/usr/bin/g++-13", version="13.3.0"),
        Tool(path="/usr/bin/g++-12", version="12.4.0"),
    )
    toolchain = chosen(replace(with_nvcc("12.4.131"), compilers=compilers), CUDA_12)
    assert (toolchain.cxx, toolchain.cxx_version) == ("/usr/bin/g++-13", "13.3.0")
    assert chosen(replace(FACTS, compilers=compilers), SIGNATURE).cxx == "/usr/bin/g++"


def test_compilers_that_nvcc_does_not_accept_are_told_each_with_the_fix() -> None:
    compilers = (Tool(path="/usr/bin/g++", version="15.1.0"), Tool(path="/usr/bin/clang++", version="18.1.3"))
    gcc, clang = lacks(replace(with_nvcc("12.4.131"), compilers=compilers), CUDA_12)
    assert gcc == "nvcc 12.4 accepts GCC 13 at most, /usr/bin/g++ is 15.1.0: apt install g++-13"
    assert clang.endswith("apt install clang-17")


def test_the_compiler_rule_holds_for_toolkits_from_wheels() -> None:
    (lack,) = lacks(gpp("16.1.0", facts=NO_NVCC), CUDA_SIGNATURE)
    assert lack.endswith("apt install g++-15")
