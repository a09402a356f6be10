from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planning_worlds import (
    CUDA_TORCH,
    FACTS,
    GPP,
    GPU_FACTS,
    NVCC,
    PYTHON,
    RECIPE,
    SIGNATURE,
    with_system,
    with_torch,
)

from orchestrator.errors import PlanError
from orchestrator.model.facts import Disk, Facts, Tool, Torch
from orchestrator.model.plan import Builder
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.planning.builders import choose_builder
from orchestrator.planning.grouping import group
from orchestrator.planning.toolchains import find_lacks

NO_COMPILER = replace(FACTS, compilers=())


def choose(facts: dict[str, Facts], *, wish: str = "auto", controller: Facts = NO_COMPILER) -> Builder:
    return choose_builder(group(facts, RECIPE).groups[0], facts, wish=wish, controller=lambda: controller)


def on(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, system=replace(facts.system, **changes))


def test_a_host_of_the_group_builds_when_it_can() -> None:
    assert choose({"a": NO_COMPILER, "b": FACTS}, controller=FACTS).host == "b"


def test_the_host_with_the_lowest_libraries_builds_so_that_the_wheel_runs_on_all() -> None:
    big = on(FACTS, cpu_cores=128)
    assert choose({"a": big, "b": with_system(glibc="2.9")}).host == "b"


def test_among_equals_libaio_then_cores_then_memory_then_order_decide() -> None:
    aio, cores, memory = replace(FACTS, has_libaio=True), on(FACTS, cpu_cores=64), on(FACTS, memory_bytes=10**12)
    assert choose({"a": FACTS, "memory": memory, "cores": cores, "aio": aio}).host == "aio"
    assert choose({"a": FACTS, "memory": memory, "cores": cores}).host == "cores"
    assert choose({"a": FACTS, "memory": memory}).host == "memory"
    assert choose({"a": FACTS, "b": FACTS}).host == "a"


def test_the_controller_is_not_asked_while_a_host_can_build() -> None:
    def refuse() -> Facts:
        raise AssertionError("the controller was asked")

    facts = {"a": FACTS}
    assert choose_builder(group(facts, RECIPE).groups[0], facts, wish="auto", controller=refuse).host == "a"


def test_the_controller_builds_when_no_host_can() -> None:
    assert choose({"a": NO_COMPILER}, controller=FACTS).host is None


def test_the_controller_beats_a_host_whose_libraries_are_above_the_floor() -> None:
    facts = {"old": with_system(NO_COMPILER, glibc="2.28"), "new": FACTS}
    assert choose(facts, controller=with_system(glibc="2.17")).host is None
    assert choose(facts, controller=FACTS).host == "new"


def test_a_builder_above_the_floor_says_so() -> None:
    facts = {"old": with_system(NO_COMPILER, glibc="2.28"), "new": FACTS}
    assert "2.28" in choose(facts).reason
    assert "2.28" in choose(facts, wish="new").reason


def test_when_nobody_can_build_every_candidate_s_lack_is_told() -> None:
    facts = {"a1": NO_COMPILER, "a2": NO_COMPILER, "b": replace(FACTS, interpreter=replace(PYTHON, has_headers=False))}
    with pytest.raises(PlanError) as caught:
        choose(facts)
    told = caught.value.message.splitlines()
    assert [line.split(":")[0].strip() for line in told[1:]] == ["a[1-2]", "b", "controller"]
    assert "Python.h" in told[2]
    assert caught.value.hint


def test_a_wish_for_the_controller_is_followed_or_refused() -> None:
    assert choose({"a": FACTS}, wish="controller", controller=FACTS).host is None
    with pytest.raises(PlanError, match="C\\+\\+"):
        choose({"a": FACTS}, wish="controller")


def test_the_controller_may_not_build_for_hosts_with_older_libraries() -> None:
    with pytest.raises(PlanError, match=r"3\.4\.28"):
        choose({"a": with_system(glibcxx="3.4.28")}, wish="controller", controller=FACTS)


def test_a_wish_for_a_host_is_followed_even_outside_the_group() -> None:
    other_level = with_system(cpu_level=CpuLevel.X86_64_V3)
    assert choose({"a": FACTS, "b": other_level}, wish="b").host == "b"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (NO_COMPILER, "C\\+\\+"),
        (with_torch(FACTS, Torch(version="2.12.1+cpu")), "another build"),
        (with_torch(FACTS, None), "no torch"),
        (replace(FACTS, interpreter=None, interpreter_error="no python"), "no python"),
    ],
)
def test_a_wish_for_an_unfit_host_is_refused(facts: Facts, reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        choose({"a": FACTS, "b": facts}, wish="b")


def test_a_wish_for_an_unknown_host_names_those_that_are_there() -> None:
    with pytest.raises(PlanError, match="b9") as caught:
        choose({"a1": FACTS, "a2": FACTS}, wish="b9")
    assert "a[1-2]" in (caught.value.hint or "")


CUDA_SIGNATURE = replace(
    SIGNATURE, accelerator=Accelerator.CUDA, torch_version="2.13.0+cu130", torch_cuda="13.0", gpu_archs=("sm_90",)
)


def gpp(version: str, path: str = "/usr/bin/g++") -> Facts:
    return replace(FACTS, compilers=(Tool(path=path, version=version),))


@pytest.mark.parametrize(
    ("machine", "signature"),
    [
        (FACTS, SIGNATURE),
        (gpp("11.1.0"), SIGNATURE),
        (gpp("9.4.0"), replace(SIGNATURE, cpu_level=CpuLevel.X86_64_V1)),
        (gpp("14.0.6", "/usr/bin/clang++"), SIGNATURE),
        (replace(FACTS, compilers=(Tool(path="/bin/c++", error="exit 1"), GPP)), SIGNATURE),
        (replace(FACTS, disks=()), SIGNATURE),
        (GPU_FACTS, CUDA_SIGNATURE),
        (replace(with_torch(FACTS, CUDA_TORCH), nvcc=NVCC), CUDA_SIGNATURE),
    ],
)
def test_a_machine_with_everything_can_compile(machine: Facts, signature: Signature) -> None:
    assert find_lacks(machine, signature) == ()


@pytest.mark.parametrize(
    ("machine", "signature", "word"),
    [
        (NO_COMPILER, SIGNATURE, "found: none"),
        (gpp("10.2.1"), SIGNATURE, "GCC 11"),
        (gpp("8.5.0"), replace(SIGNATURE, cpu_level=CpuLevel.X86_64_V1), "GCC 9"),
        (gpp("11.1.0", "/usr/bin/clang++-11"), SIGNATURE, "clang++-11"),
        (replace(FACTS, compilers=(Tool(path="/bin/c++", error="exit 1"),)), SIGNATURE, "exit 1"),
        (with_system(machine="aarch64"), SIGNATURE, "aarch64"),
        (replace(FACTS, interpreter=None), SIGNATURE, "interpreter"),
        (replace(FACTS, interpreter=replace(PYTHON, abi_tag="cp312")), SIGNATURE, "cp312"),
        (on(FACTS, memory_available_bytes=900_000_000), SIGNATURE, "0.9 GB"),
        (replace(FACTS, disks=(Disk(role="cache", path="/c", free_bytes=1),)), SIGNATURE, "/c has 0.0 GB"),
        (FACTS, CUDA_SIGNATURE, "no working nvcc"),
        (replace(FACTS, nvcc=Tool(path="/nvcc", error="exit 127")), CUDA_SIGNATURE, "no working nvcc"),
        (replace(FACTS, nvcc=Tool(path="/nvcc", version="12.4")), CUDA_SIGNATURE, "12.4"),
        (FACTS, replace(SIGNATURE, accelerator=Accelerator.ROCM), "ROCm"),
    ],
)
def test_a_lack_is_named(machine: Facts, signature: Signature, word: str) -> None:
    (lack,) = find_lacks(machine, signature)
    assert word in lack
