"""The names that wheels get."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build_parts import SIGNATURE
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from orchestrator.build.version import local_version, torch_minor
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.wheels import BuildKey

KEY = BuildKey("0123abcd" + "f" * 24)


def test_a_cpu_wheel_says_torch_level_and_key() -> None:
    assert local_version(SIGNATURE, KEY) == "+torch2.13.cpu.x8664v3.k0123abcd"


def test_a_cuda_wheel_says_cuda_and_archs_instead_of_the_level() -> None:
    signature = replace(
        SIGNATURE,
        accelerator=Accelerator.CUDA,
        torch_version="2.11.0+cu130",
        torch_cuda="13.0",
        gpu_archs=("sm_80", "sm_90a"),
    )
    assert local_version(signature, KEY) == "+torch2.11.cu130.sm80.sm90a.k0123abcd"


def test_a_rocm_wheel_says_rocm_and_archs() -> None:
    signature = replace(SIGNATURE, accelerator=Accelerator.ROCM, torch_hip="6.4", gpu_archs=("gfx942",))
    assert local_version(signature, KEY) == "+torch2.13.rocm64.gfx942.k0123abcd"


@given(key=st.text("0123456789abcdef", min_size=32, max_size=32), level=st.sampled_from(CpuLevel))
def test_every_local_version_is_its_own_normal_form(key: str, level: CpuLevel) -> None:
    text = "0.19.8" + local_version(replace(SIGNATURE, cpu_level=level), BuildKey(key))
    assert str(Version(text)) == text


@pytest.mark.parametrize(
    ("full", "minor"), [("2.13.0+cpu", "2.13"), ("2.6.0a0+ecf3bae40a.nv25.1", "2.6"), ("2.11.0.dev20260101", "2.11")]
)
def test_torch_minor_leaves_patch_and_local_part_out(full: str, minor: str) -> None:
    assert torch_minor(full) == minor
