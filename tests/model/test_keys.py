"""Build keys: equal exactly when the wheel would be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.model.recipe import CpuPolicy, PtxPolicy, Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.wheels import make_build_key

SIGNATURE = Signature(
    accelerator=Accelerator.CPU,
    torch_version="2.13.0+cpu",
    python_tag="cp311",
    machine="x86_64",
    cpu_level=CpuLevel.X86_64_V3,
    glibc="2.36",
    glibcxx="3.4.30",
)
RECIPE = Recipe(name="cpu-training", source=Source(kind=SourceKind.VERSION, value="0.19.8"), required=("cpu_adam",))


def test_equal_inputs_give_equal_keys() -> None:
    assert make_build_key(SIGNATURE, RECIPE) == make_build_key(replace(SIGNATURE), replace(RECIPE))


@pytest.mark.parametrize(
    "change",
    [
        {"torch_version": "2.13.1+cpu"},
        {"cxx11_abi": False},
        {"python_tag": "cp312"},
        {"cpu_level": CpuLevel.X86_64_V4},
        {"glibc": "2.35"},
        {"glibcxx": "3.4.29"},
        {"gpu_archs": ("sm_90",)},
        {"accelerator": Accelerator.CUDA},
        {"machine": "aarch64"},
        {"torch_cuda": "13.0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_the_signature_changes_the_key(change: dict[str, Any]) -> None:
    assert make_build_key(replace(SIGNATURE, **change), RECIPE) != make_build_key(SIGNATURE, RECIPE)


@pytest.mark.parametrize(
    "change",
    [
        {"source": Source(kind=SourceKind.VERSION, value="0.19.7")},
        {"source": Source(kind=SourceKind.GIT, value="0.19.8", revision="abc")},
        {"required": ()},
        {"wanted": ("cpu_adam",)},
        {"off": ("async_io",)},
        {"environment": {"CFLAGS": "-O2"}},
        {"ptx": PtxPolicy.NEWEST},
        {"strip": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_shapes_the_wheel_changes_the_key(change: dict[str, Any]) -> None:
    assert make_build_key(SIGNATURE, replace(RECIPE, **change)) != make_build_key(SIGNATURE, RECIPE)


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"python": "/opt/venv/bin/python"}, {"cpu_policy": CpuPolicy.PER_LEVEL}],
    ids=lambda change: next(iter(change)),
)
def test_what_only_chooses_hosts_does_not(change: dict[str, Any]) -> None:
    assert make_build_key(SIGNATURE, replace(RECIPE, **change)) == make_build_key(SIGNATURE, RECIPE)


def test_the_order_in_which_ops_are_written_does_not_matter() -> None:
    one = replace(RECIPE, required=("cpu_adam", "async_io"))
    other = replace(RECIPE, required=("async_io", "cpu_adam"))
    assert make_build_key(SIGNATURE, one) == make_build_key(SIGNATURE, other)


def test_cpu_levels_are_ordered_within_their_machine() -> None:
    levels = [CpuLevel.X86_64_V1, CpuLevel.X86_64_V2, CpuLevel.X86_64_V3, CpuLevel.X86_64_V4]
    assert sorted(levels, key=lambda level: level.rank) == levels
    assert {level.machine for level in levels} == {"x86_64"}
    assert CpuLevel.ARMV8.machine == CpuLevel.ARMV8_SVE.machine == "aarch64"


def test_rocm_is_cuda_to_deepspeed() -> None:
    assert [item.deepspeed_name for item in Accelerator] == ["cpu", "cuda", "cuda"]
