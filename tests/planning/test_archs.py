"""NVIDIA's archs: what runs where, which toolkit makes it, and what a recipe's words about archs come to."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from planning_worlds import A100, CATALOGUE, GPU_FACTS, RECIPE

from orchestrator.config.recipe_text import parse_recipe
from orchestrator.model.facts import Facts, Gpu
from orchestrator.model.recipe import ArchPolicy, PtxPolicy, Recipe
from orchestrator.model.wheels import make_build_key
from orchestrator.planning.archs import (
    arch_list,
    arch_of,
    archs_unknown_to,
    is_below,
    lowest_cuda,
    ptx_archs,
    ptx_runs_on,
    runs_on,
)
from orchestrator.planning.gpu_archs import GPU_ARCHS, GpuArch
from orchestrator.planning.grouping import Grouping, group

ARCHS = st.sampled_from(sorted(GPU_ARCHS))
TARGETS = st.sampled_from([name + letter for name, row in GPU_ARCHS.items() for letter in ("", *row.letters)])


@pytest.mark.parametrize(("capability", "arch"), [("9.0", "sm_90"), ("8.6", "sm_86"), ("12.0", "sm_120")])
def test_a_compute_capability_has_an_arch(capability: str, arch: str) -> None:
    assert arch_of(capability) == arch


@pytest.mark.parametrize(
    ("archs", "ptx", "text"),
    [
        ((), PtxPolicy.NEWEST, ""),
        (("sm_90",), PtxPolicy.NEVER, "9.0"),
        (("sm_90a",), PtxPolicy.NEVER, "9.0a"),
        (("sm_120", "sm_80", "sm_90"), PtxPolicy.NEVER, "8.0;9.0;12.0"),
        (("sm_90", "sm_80", "sm_90"), PtxPolicy.NEVER, "8.0;9.0"),
        (("sm_120", "sm_80"), PtxPolicy.NEWEST, "8.0;12.0+PTX"),
        (("sm_80", "sm_90a"), PtxPolicy.NEWEST, "8.0+PTX;9.0a"),
        (("sm_90a",), PtxPolicy.NEWEST, "9.0a+PTX"),
    ],
)
def test_archs_become_torch_s_list(archs: tuple[str, ...], ptx: PtxPolicy, text: str) -> None:
    assert arch_list(archs, ptx) == text


def test_an_amd_arch_is_no_cuda_arch() -> None:
    with pytest.raises(ValueError, match="gfx942"):
        arch_list(("gfx942",), PtxPolicy.NEVER)


@pytest.mark.parametrize(
    ("code", "gpu", "runs"),
    [
        ("sm_80", "sm_80", True),
        ("sm_80", "sm_86", True),
        ("sm_86", "sm_80", False),
        ("sm_80", "sm_90", False),
        ("sm_90a", "sm_90", True),
        ("sm_100", "sm_103", True),
        ("sm_100a", "sm_103", False),
        ("sm_100f", "sm_103", True),
        ("sm_103f", "sm_100", False),
        ("sm_100f", "sm_110", False),
        ("sm_100f", "sm_120", False),
        ("sm_120f", "sm_121", True),
        ("sm_100f", "sm_109", False),  # of no family that is known
        ("sm_80", "sm_87", False),  # Orin is a Tegra
        ("sm_87", "sm_87", True),
        ("sm_87", "sm_89", False),
        ("gfx942", "gfx942", True),
        ("gfx90a", "gfx942", False),
        ("sm_90", "gfx942", False),
    ],
)
def test_machine_code_runs_within_its_major_version(code: str, gpu: str, *, runs: bool) -> None:
    assert runs_on(code, gpu) is runs


@pytest.mark.parametrize(
    ("virtual", "gpu", "runs"),
    [
        ("compute_80", "sm_80", True),
        ("compute_80", "sm_120", True),
        ("compute_80", "sm_87", True),
        ("compute_90", "sm_89", False),
        ("compute_90a", "sm_90", True),
        ("compute_90a", "sm_100", False),
        ("compute_100f", "sm_100", True),
        ("compute_100f", "sm_103", True),
        ("compute_100f", "sm_107", True),
        ("compute_100f", "sm_110", False),
        ("compute_103f", "sm_100", False),
        ("compute_80", "gfx942", False),
    ],
)
def test_ptx_runs_on_what_is_newer(virtual: str, gpu: str, *, runs: bool) -> None:
    assert ptx_runs_on(virtual, gpu) is runs


@given(TARGETS, ARCHS)
def test_wherever_machine_code_runs_the_ptx_of_its_arch_does(target: str, gpu: str) -> None:
    assert ptx_runs_on(target.replace("sm_", "compute_"), gpu) or not runs_on(target, gpu)


@given(TARGETS, ARCHS)
def test_a_letter_never_lets_code_run_on_more(target: str, gpu: str) -> None:
    assert runs_on(target.rstrip("af"), gpu) or not runs_on(target, gpu)


@pytest.mark.parametrize(
    ("arch", "minimum", "is_lower"),
    [
        ("sm_75", "sm_80", True),
        ("sm_80", "sm_80", False),
        ("sm_90", "sm_100", True),
        ("sm_100", "sm_90", False),
        ("sm_90a", "sm_90", False),
        ("compute_75", "sm_80", True),
        ("gfx906", "sm_80", False),
    ],
)
def test_archs_are_compared_by_number(arch: str, minimum: str, *, is_lower: bool) -> None:
    assert is_below(arch, minimum) is is_lower


@pytest.mark.parametrize(
    ("arch", "cuda"),
    [
        ("sm_80", "11.0"),
        ("sm_90", "11.8"),
        ("sm_90a", "12.0"),
        ("sm_100a", "12.8"),
        ("sm_100f", "12.9"),
        ("sm_110f", "13.0"),
        ("sm_80a", None),
        ("sm_85", None),
        ("gfx942", None),
    ],
)
def test_every_arch_came_with_a_toolkit(arch: str, cuda: str | None) -> None:
    assert lowest_cuda(arch) == cuda


@pytest.mark.parametrize(
    ("cuda", "arch", "reason"),
    [
        ("12.4", "sm_120", "CUDA 12.8 was the first that makes code for sm_120"),
        ("12.8.93", "sm_100f", "CUDA 12.9 was the first that makes code for sm_100f"),
        ("9.2", "sm_75", "CUDA 10.0 was the first that makes code for sm_75"),
        ("13.0.88", "sm_70", "CUDA 12.9 was the last that makes code for sm_70"),
        ("13.0", "sm_101", "CUDA 12.9 was the last that makes code for sm_101, which is sm_110 since"),
        ("13.0", "sm_80a", "no CUDA toolkit is known to make code for sm_80a"),
        ("13.0", "sm_999", "no CUDA toolkit is known to make code for sm_999"),
        ("13.0", "gfx942", "no CUDA toolkit is known to make code for gfx942"),
    ],
)
def test_an_arch_that_an_nvcc_does_not_know_has_its_reason(cuda: str, arch: str, reason: str) -> None:
    (unknown,) = archs_unknown_to(cuda, [arch])
    assert (unknown.arch, unknown.reason) == (arch, reason)


@pytest.mark.parametrize(
    ("cuda", "archs"),
    [("12.9.1", ["sm_70", "sm_121f"]), ("13.0", ["sm_75", "sm_90a", "sm_110"]), ("13", ["sm_120"])],
)
def test_the_archs_of_a_toolkit_are_known_to_it(cuda: str, archs: list[str]) -> None:
    assert archs_unknown_to(cuda, archs) == ()


def test_what_an_nvcc_lists_itself_is_believed() -> None:
    listed = ("sm_80", "sm_90", "sm_130")
    assert archs_unknown_to("13.0", ["sm_130", "sm_90", "sm_90a"], listed=listed) == ()
    assert archs_unknown_to("11.7", ["sm_90"], listed=listed) == ()
    (unknown,) = archs_unknown_to("13.0", ["sm_120"], listed=listed)
    assert unknown.reason == "this nvcc of CUDA 13.0 leaves out sm_120"


def test_an_arch_is_told_once() -> None:
    assert [unknown.arch for unknown in archs_unknown_to("12.4", ["sm_120", "sm_120"])] == ["sm_120"]


def find_nvcc() -> str | None:
    home = os.environ.get("CUDA_HOME")
    return shutil.which("nvcc", path=f"{home}/bin" if home else None)


@pytest.mark.process
@pytest.mark.skipif(find_nvcc() is None, reason="no nvcc on PATH or in CUDA_HOME")
def test_the_table_is_what_a_real_nvcc_lists() -> None:
    def ask(option: str) -> str:
        return subprocess.run([str(find_nvcc()), option], check=True, capture_output=True, text=True).stdout

    cuda = ask("--version").partition("release ")[2].partition(",")[0]
    unknown = {unknown.arch for unknown in archs_unknown_to(cuda, GPU_ARCHS)}
    assert set(GPU_ARCHS) - unknown == set(ask("--list-gpu-code").split())


@pytest.mark.parametrize("row", GPU_ARCHS.values(), ids=lambda row: row.name)
def test_the_table_is_consistent(row: GpuArch) -> None:
    assert row.last is None or Version(row.first) < Version(row.last)
    assert ("f" in row.letters) == (row.family in GPU_ARCHS)
    assert (row.renamed is None) or row.renamed in GPU_ARCHS


def h100_and_a100(recipe: Recipe) -> Grouping:
    return group({"new": GPU_FACTS, "old": replace(GPU_FACTS, gpus=(A100,))}, recipe)


def archs_of_groups(grouping: Grouping) -> list[tuple[str, ...]]:
    return [found.signature.gpu_archs for found in grouping.groups]


def test_per_signature_gives_every_kind_of_gpu_a_wheel_of_its_own() -> None:
    assert archs_of_groups(h100_and_a100(RECIPE)) == [("sm_90",), ("sm_80",)]


def test_union_gives_one_wheel_for_all() -> None:
    grouping = h100_and_a100(replace(RECIPE, arch_policy=ArchPolicy.UNION))
    assert archs_of_groups(grouping) == [("sm_80", "sm_90")]


def test_a_list_is_built_whatever_the_hosts_have() -> None:
    grouping = h100_and_a100(replace(RECIPE, archs=("sm_120", "sm_90", "sm_80")))
    assert archs_of_groups(grouping) == [("sm_120", "sm_80", "sm_90")]
    assert grouping.rejected == ()


def with_gpu(capability: str) -> Facts:
    return replace(GPU_FACTS, gpus=(Gpu(index=0, name="GPU", compute_capability=capability),))


@pytest.mark.parametrize(
    ("archs", "capability", "is_taken"),
    [
        (("sm_80",), "9.0", True),
        (("sm_80", "sm_90a"), "12.0", True),
        (("sm_90a",), "12.0", False),
        (("sm_90",), "8.0", False),
        (("gfx942",), "9.0", False),
    ],
)
def test_ptx_lets_newer_gpus_take_the_wheel(archs: tuple[str, ...], capability: str, *, is_taken: bool) -> None:
    facts = {"a": with_gpu(capability)}
    recipe = replace(RECIPE, archs=archs)
    assert group(facts, recipe).groups == ()
    assert bool(group(facts, replace(recipe, ptx=PtxPolicy.NEWEST)).groups) is is_taken


def test_ptx_is_of_the_newest_arch_that_others_can_run() -> None:
    assert ptx_archs(("sm_80", "sm_100", "sm_120a"), PtxPolicy.NEWEST) == ("compute_100",)
    assert ptx_archs(("sm_80",), PtxPolicy.NEVER) == ()


@pytest.mark.parametrize("words", ["[sm_90, sm_80]", "[8.0, sm_90, 9.0]", "['9.0', '8.0']"])
def test_the_build_key_does_not_depend_on_how_archs_are_written(words: str) -> None:
    def key_of(archs: str) -> str:
        text = f"deepspeed: {{version: 0.19.8}}\naccelerator: cuda\narchs: {archs}\n"
        recipe = parse_recipe(text, path=Path("any.yaml"), catalogue=CATALOGUE)
        (found,) = group({"a": GPU_FACTS}, recipe).groups
        return make_build_key(found.signature, recipe)

    assert key_of(words) == key_of("[sm_80, sm_90]")
    assert key_of(words) != key_of("[sm_80, sm_90, sm_100]")
