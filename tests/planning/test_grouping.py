from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from packaging.version import Version
from planning_worlds import (
    A100,
    CUDA_TORCH,
    FACTS,
    GPU_FACTS,
    PYTHON,
    RECIPE,
    RECIPES,
    any_facts,
    fleets,
    with_deepspeed,
    with_system,
    with_torch,
)

from orchestrator.model.facts import Facts, Gpu, InstalledDeepSpeed, Torch
from orchestrator.model.plan import HostPlan, HostVerdict
from orchestrator.model.recipe import ArchPolicy, CpuPolicy, Recipe
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.planning.differences import differences
from orchestrator.planning.grouping import Group, group

V2, V3, V4 = CpuLevel.X86_64_V2, CpuLevel.X86_64_V3, CpuLevel.X86_64_V4


def only_group(facts: dict[str, Facts], recipe: Recipe = RECIPE) -> Group:
    grouping = group(facts, recipe)
    assert grouping.rejected == ()
    (only,) = grouping.groups
    return only


def rejection(facts: Facts, recipe: Recipe = RECIPE) -> HostPlan:
    grouping = group({"worker-0": facts}, recipe)
    assert grouping.groups == ()
    (row,) = grouping.rejected
    assert row.verdict is HostVerdict.REJECT
    assert row.build_key is None
    return row


def test_equal_hosts_share_one_wheel_in_their_own_order() -> None:
    assert only_group({"b": FACTS, "a": FACTS}).hosts == ("b", "a")


def test_floors_are_the_lowest_of_the_group() -> None:
    facts = {
        "a": with_system(cpu_level=V4, glibc="2.36", glibcxx="3.4.9"),
        "b": with_system(cpu_level=V3, glibc="2.9", glibcxx="3.4.30"),
    }
    signature = only_group(facts).signature
    assert (signature.cpu_level, signature.glibc, signature.glibcxx) == (V3, "2.9", "3.4.9")


def test_levels_are_kept_apart_when_the_recipe_says_so() -> None:
    facts = {"a": with_system(cpu_level=V4), "b": with_system(cpu_level=V3), "c": with_system(cpu_level=V4)}
    grouping = group(facts, replace(RECIPE, cpu_policy=CpuPolicy.PER_LEVEL))
    assert [(found.signature.cpu_level, found.hosts) for found in grouping.groups] == [(V4, ("a", "c")), (V3, ("b",))]


def test_an_explicit_level_beats_the_policy_and_rejects_hosts_below_it() -> None:
    recipe = replace(RECIPE, cpu_level=V3, cpu_policy=CpuPolicy.PER_LEVEL)
    facts = {"a": with_system(cpu_level=V4), "b": with_system(cpu_level=V3), "c": with_system(cpu_level=V2)}
    grouping = group(facts, recipe)
    assert [(found.signature.cpu_level, found.hosts) for found in grouping.groups] == [(V3, ("a", "b"))]
    assert [row.host for row in grouping.rejected] == ["c"]


def change_python(**changes: Any) -> Facts:
    return replace(FACTS, interpreter=replace(PYTHON, **changes))


@pytest.mark.parametrize(
    "other",
    [
        with_torch(FACTS, Torch(version="2.13.1+cpu")),
        with_torch(FACTS, Torch(version="2.13.0")),
        with_torch(FACTS, Torch(version="2.13.0+cpu", cxx11_abi=False)),
        with_torch(FACTS, Torch(version="2.13.0+cpu", cuda="13.0")),
        change_python(abi_tag="cp312"),
        with_system(machine="aarch64", cpu_level=CpuLevel.ARMV8),
        GPU_FACTS,
    ],
)
def test_hosts_that_cannot_share_a_wheel_are_apart(other: Facts) -> None:
    assert [found.hosts for found in group({"a": FACTS, "b": other, "c": FACTS}, RECIPE).groups] == [("a", "c"), ("b",)]


def test_a_host_s_archs_are_sorted_and_told_once() -> None:
    facts = replace(GPU_FACTS, gpus=(*GPU_FACTS.gpus, A100, replace(A100, index=2)))
    assert only_group({"a": facts}).signature.gpu_archs == ("sm_80", "sm_90")


def test_gpu_archs_are_kept_apart_or_united_as_the_recipe_says() -> None:
    facts = {"a": GPU_FACTS, "b": replace(GPU_FACTS, gpus=(A100,))}
    apart = [found.signature.gpu_archs for found in group(facts, RECIPE).groups]
    assert apart == [("sm_90",), ("sm_80",)]
    united = only_group(facts, replace(RECIPE, arch_policy=ArchPolicy.UNION))
    assert united.signature.gpu_archs == ("sm_80", "sm_90")


def test_explicit_archs_beat_the_policy() -> None:
    recipe = replace(RECIPE, archs=("sm_90", "sm_80"))
    facts = {"a": GPU_FACTS, "b": replace(GPU_FACTS, gpus=(A100,))}
    assert only_group(facts, recipe).signature.gpu_archs == ("sm_80", "sm_90")


def test_a_cpu_recipe_puts_gpu_hosts_beside_others_with_the_same_torch() -> None:
    facts = {"a": GPU_FACTS, "b": with_torch(FACTS, CUDA_TORCH)}
    signature = only_group(facts, replace(RECIPE, accelerator=Accelerator.CPU)).signature
    assert (signature.accelerator, signature.gpu_archs) == (Accelerator.CPU, ())


def test_a_host_without_interpreter_is_rejected_with_the_probe_s_words() -> None:
    row = rejection(replace(FACTS, interpreter=None, interpreter_error="/opt/x/python: no such file"))
    assert row.reason == "/opt/x/python: no such file"
    assert "--python" in (row.hint or "")


@pytest.mark.parametrize(
    ("facts", "reason", "hint"),
    [
        (with_torch(FACTS, None), "has no torch", "install torch into /opt/venv"),
        (change_python(is_externally_managed=True, torch=None), "PEP 668", "virtual environment"),
        (change_python(is_writable=False), "cannot be written", "user="),
        (
            with_deepspeed(FACTS, InstalledDeepSpeed(version="0.19.8", location="/src/ds", is_editable=True)),
            "editable installation of /src/ds",
            "pip uninstall deepspeed",
        ),
        (with_system(glibc=None), "no glibc", "Debian"),
        (with_system(glibcxx=None), "libstdc++", "libstdc++6"),
        (with_torch(GPU_FACTS, Torch(version="2.13.0+cpu")), "2.13.0+cpu is not built for cuda", "accelerator: cpu"),
        (replace(GPU_FACTS, gpus=(Gpu(index=0, name="B300"),)), "B300", "archs:"),
    ],
)
def test_a_host_that_cannot_take_a_wheel_is_told_why_and_what_to_do(facts: Facts, reason: str, hint: str) -> None:
    row = rejection(facts)
    assert reason in row.reason
    assert hint in (row.hint or "")


def test_a_host_without_gpu_is_rejected_where_cuda_was_asked() -> None:
    row = rejection(with_torch(FACTS, CUDA_TORCH), replace(RECIPE, accelerator=Accelerator.CUDA))
    assert "cuda" in row.reason


def test_a_host_whose_gpu_the_explicit_archs_do_not_cover_is_rejected() -> None:
    assert "sm_90" in rejection(GPU_FACTS, replace(RECIPE, archs=("sm_80",))).reason


def test_code_of_a_lower_minor_version_covers_a_gpu() -> None:
    facts = replace(GPU_FACTS, gpus=(replace(A100, compute_capability="8.6"),))
    assert only_group({"a": facts}, replace(RECIPE, archs=("sm_80",))).signature.gpu_archs == ("sm_80",)


def test_the_odd_host_is_told_against_the_many() -> None:
    odd = with_torch(FACTS, Torch(version="2.12.1+cpu"))
    facts = {f"worker-{number}": odd if number == 3 else FACTS for number in range(16)}
    (difference,) = differences(group(facts, RECIPE).groups)
    assert difference.hosts == ("worker-3",)
    assert difference.text == "worker-3: torch 2.12.1+cpu where 15 others have 2.13.0+cpu"


def test_every_field_that_differs_is_told() -> None:
    found = differences(group({"a1": FACTS, "a2": GPU_FACTS}, RECIPE).groups)
    assert [(row.label, row.value, row.usual) for row in found] == [
        ("accelerator", "cuda", "cpu"),
        ("GPU arch", "sm_90", "none"),
        ("torch", "2.13.0+cu130", "2.13.0+cpu"),
        ("torch's CUDA", "13.0", "none"),
    ]
    assert found[0].text == "a2: accelerator cuda where 1 other has cpu"


def test_one_group_has_no_differences_even_when_floors_differ() -> None:
    facts = {"a": with_system(glibc="2.28", cpu_level=V3), "b": FACTS}
    assert differences(group(facts, RECIPE).groups) == ()


@given(fleets(any_facts()), RECIPES)
def test_every_host_is_in_exactly_one_group_or_rejected(facts: dict[str, Facts], recipe: Recipe) -> None:
    grouping = group(facts, recipe)
    places = [host for found in grouping.groups for host in found.hosts] + [row.host for row in grouping.rejected]
    assert sorted(places) == sorted(facts)
    assert all(row.reason and row.hint for row in grouping.rejected)


@given(fleets(any_facts()), RECIPES)
def test_no_floor_is_above_a_member(facts: dict[str, Facts], recipe: Recipe) -> None:
    for found in group(facts, recipe).groups:
        for host in found.hosts:
            system = facts[host].system
            assert found.signature.cpu_level.rank <= system.cpu_level.rank
            assert Version(found.signature.glibc) <= Version(system.glibc or "0")
            assert Version(found.signature.glibcxx) <= Version(system.glibcxx or "0")


@given(fleets(any_facts()), RECIPES)
def test_groups_are_as_few_as_the_key_allows(facts: dict[str, Facts], recipe: Recipe) -> None:
    keys = [found.key for found in group(facts, recipe).groups]
    assert len(set(keys)) == len(keys)


@given(fleets(any_facts()), RECIPES)
def test_two_groups_always_differ_in_a_field_that_is_told(facts: dict[str, Facts], recipe: Recipe) -> None:
    groups = group(facts, recipe).groups
    told = {host for difference in differences(groups) for host in difference.hosts}
    assert sum(not told.intersection(found.hosts) for found in groups) <= 1
