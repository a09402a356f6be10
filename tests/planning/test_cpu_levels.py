from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.signature import CpuLevel
from orchestrator.planning.cpu import CpuFlags, compile_flags, lowest_level, runs_code_of

X86 = [CpuLevel.X86_64_V1, CpuLevel.X86_64_V2, CpuLevel.X86_64_V3, CpuLevel.X86_64_V4]


@pytest.mark.parametrize(
    ("level", "march", "simd"),
    [
        (CpuLevel.X86_64_V1, "-march=x86-64", "-D__SCALAR__"),
        (CpuLevel.X86_64_V2, "-march=x86-64-v2", "-D__SCALAR__"),
        (CpuLevel.X86_64_V3, "-march=x86-64-v3", "-D__AVX256__"),
        (CpuLevel.X86_64_V4, "-march=x86-64-v4", "-D__AVX512__"),
        (CpuLevel.ARMV8, "-march=armv8-a", "-D__NEON__"),
        (CpuLevel.ARMV8_SVE, "-march=armv8.2-a+sve", "-D__SVE__"),
        (CpuLevel.OTHER, None, "-D__SCALAR__"),
    ],
)
def test_march_and_simd_macro_follow_the_level_together(level: CpuLevel, march: str | None, simd: str) -> None:
    assert compile_flags(level) == CpuFlags(march=march, simd=simd)


def test_a_group_with_one_avx2_host_is_compiled_for_avx2() -> None:
    assert lowest_level([CpuLevel.X86_64_V4, CpuLevel.X86_64_V3, CpuLevel.X86_64_V4]) is CpuLevel.X86_64_V3


@given(st.lists(st.sampled_from(X86), min_size=1))
def test_every_member_runs_code_of_the_lowest_level(levels: list[CpuLevel]) -> None:
    assert all(runs_code_of(level, lowest_level(levels)) for level in levels)


def test_a_host_does_not_run_code_of_a_higher_level() -> None:
    assert not runs_code_of(CpuLevel.X86_64_V3, CpuLevel.X86_64_V4)


def test_a_host_does_not_run_code_of_another_machine() -> None:
    assert not runs_code_of(CpuLevel.ARMV8_SVE, CpuLevel.X86_64_V1)


def test_code_for_the_compiler_s_own_baseline_runs_anywhere() -> None:
    assert runs_code_of(CpuLevel.OTHER, CpuLevel.OTHER)
