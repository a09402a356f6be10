from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planning_worlds import (
    FACTS,
    GPU_FACTS,
    PYTHON,
    RECIPE,
    with_system,
    with_torch,
)

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts, Tool, Torch
from orchestrator.model.plan import Builder
from orchestrator.model.signature import CpuLevel
from orchestrator.model.toolchain import ToolchainKind, ToolchainPolicy
from orchestrator.planning.builders import choose_builder
from orchestrator.planning.grouping import group

AUTO = ToolchainPolicy.AUTO
NO_COMPILER = replace(FACTS, compilers=())
NO_NVCC = replace(GPU_FACTS, nvcc=None, cuda_home=None)
CONTROLLER = replace(FACTS, nvcc=GPU_FACTS.nvcc, cuda_home="/opt/cuda")
OLDER = Torch(version="2.6.0+cu124", cuda="12.4")


def choose(
    facts: dict[str, Facts], *, wish: str = "auto", controller: Facts = NO_COMPILER, policy: ToolchainPolicy = AUTO
) -> Builder:
    recipe = replace(RECIPE, toolchain=policy)
    return choose_builder(group(facts, recipe).groups[0], facts, recipe, wish=wish, controller=lambda _: controller)


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
    def refuse(_python_tag: str) -> Facts:
        raise AssertionError("the controller was asked")

    facts = {"a": FACTS}
    assert choose_builder(group(facts, RECIPE).groups[0], facts, RECIPE, wish="auto", controller=refuse).host == "a"


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


def chosen(builder: Builder) -> tuple[str | None, ToolchainKind]:
    assert builder.toolchain is not None
    return builder.host, builder.toolchain.kind


def test_a_builder_always_says_with_what_it_compiles() -> None:
    assert chosen(choose({"a": FACTS})) == ("a", ToolchainKind.HOST)
    assert chosen(choose({"a": FACTS}, wish="a")) == ("a", ToolchainKind.HOST)
    assert chosen(choose({"a": FACTS}, wish="controller", controller=FACTS)) == (None, ToolchainKind.SYSTEM)


def test_a_host_s_own_toolkit_goes_before_all_else() -> None:
    assert chosen(choose({"a": NO_NVCC, "b": GPU_FACTS}, controller=CONTROLLER)) == ("b", ToolchainKind.HOST)


def test_the_controller_s_own_toolkit_goes_before_wheels_on_hosts() -> None:
    assert chosen(choose({"a": NO_NVCC}, controller=CONTROLLER)) == (None, ToolchainKind.SYSTEM)


def test_without_any_nvcc_the_controller_takes_wheels() -> None:
    builder = choose({"a": NO_NVCC}, controller=FACTS)
    assert chosen(builder) == (None, ToolchainKind.WHEELS)
    assert builder.toolchain is not None
    assert builder.toolchain.reason == "it has no working nvcc"


def test_a_host_takes_wheels_when_the_controller_cannot_build() -> None:
    assert chosen(choose({"a": NO_NVCC})) == ("a", ToolchainKind.WHEELS)


def test_among_hosts_of_equal_libraries_an_own_toolkit_goes_before_wheels() -> None:
    old = with_system(replace(NO_NVCC, compilers=()), glibc="2.28")
    big = on(NO_NVCC, cpu_cores=512)
    assert chosen(choose({"old": old, "big": big, "own": GPU_FACTS})) == ("own", ToolchainKind.HOST)


def test_a_host_at_the_floor_with_wheels_goes_before_a_toolkit_above_it() -> None:
    facts = {"old": with_system(NO_NVCC, glibc="2.28"), "new": GPU_FACTS}
    assert chosen(choose(facts)) == ("old", ToolchainKind.WHEELS)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (ToolchainPolicy.AUTO, ("b", ToolchainKind.HOST)),
        (ToolchainPolicy.HOST, ("b", ToolchainKind.HOST)),
        (ToolchainPolicy.SYSTEM, (None, ToolchainKind.SYSTEM)),
        (ToolchainPolicy.WHEELS, (None, ToolchainKind.WHEELS)),
    ],
)
def test_the_recipe_says_where_the_toolkit_comes_from(
    policy: ToolchainPolicy, expected: tuple[str | None, ToolchainKind]
) -> None:
    assert chosen(choose({"a": NO_NVCC, "b": GPU_FACTS}, controller=CONTROLLER, policy=policy)) == expected


@pytest.mark.parametrize(("wish", "policy"), [("a", ToolchainPolicy.SYSTEM), ("controller", ToolchainPolicy.HOST)])
def test_a_wish_against_the_recipe_s_policy_is_refused(wish: str, policy: ToolchainPolicy) -> None:
    with pytest.raises(PlanError, match=f"toolchain: {policy.value}"):
        choose({"a": GPU_FACTS}, wish=wish, controller=CONTROLLER, policy=policy)


def test_for_cuda_12_nobody_takes_wheels_and_each_candidate_is_told_the_way_out() -> None:
    new_nvcc = replace(CONTROLLER, nvcc=Tool(path="/opt/cuda/bin/nvcc", version="13.0.88"))
    with pytest.raises(PlanError) as caught:
        choose({"a1": with_torch(NO_NVCC, OLDER), "a2": with_torch(NO_NVCC, OLDER)}, controller=new_nvcc)
    _, hosts, controller = caught.value.message.splitlines()
    assert hosts.strip().startswith("a[1-2]: it has no working nvcc: install the toolkit of CUDA 12.4; ")
    assert "conda" in hosts
    assert "--builder HOST" in hosts
    assert "its nvcc is 13.0.88, torch is built for CUDA 12.4" in controller
