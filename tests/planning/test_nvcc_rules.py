"""Which torch, GPU archs and C++ compilers an nvcc gets along with."""

from __future__ import annotations

import pytest

from orchestrator.model.facts import Tool
from orchestrator.planning.nvcc import fault_of_compiler, fault_of_nvcc, faults_of_archs


def gcc(version: str) -> Tool:
    return Tool(path="/usr/bin/g++", version=version)


def clang(version: str) -> Tool:
    return Tool(path="/usr/bin/clang++-18", version=version)


@pytest.mark.parametrize(
    ("nvcc", "newest"),
    [
        ("11.0.221", 9),
        ("11.3.109", 10),
        ("11.8.89", 11),
        ("12.0.76", 12),
        ("12.3.107", 12),
        ("12.4.131", 13),
        ("12.6.85", 13),
        ("12.8.93", 14),
        ("12.9.86", 14),
        ("13.0.88", 15),
        ("13.2.10", 15),
        ("13.4.1", 16),
    ],
)
def test_the_newest_gcc_of_each_cuda_is_known(nvcc: str, newest: int) -> None:
    assert fault_of_compiler(nvcc, gcc(f"{newest}.9.0")) is None
    fault = fault_of_compiler(nvcc, gcc(f"{newest + 1}.1.0"))
    assert fault is not None
    assert fault.endswith(f"apt install g++-{newest}")


@pytest.mark.parametrize(
    ("nvcc", "newest"),
    [
        ("11.1.105", 10),
        ("11.3.109", 11),
        ("11.5.119", 12),
        ("11.7.99", 13),
        ("12.0.76", 14),
        ("12.1.105", 15),
        ("12.3.107", 16),
        ("12.5.82", 17),
        ("12.6.85", 18),
        ("12.9.86", 19),
        ("13.0.88", 20),
        ("13.1.80", 21),
    ],
)
def test_the_newest_clang_of_each_cuda_is_known(nvcc: str, newest: int) -> None:
    assert fault_of_compiler(nvcc, clang(f"{newest}.0.0")) is None
    fault = fault_of_compiler(nvcc, clang(f"{newest + 1}.0.0"))
    assert fault is not None
    assert fault.endswith(f"apt install clang-{newest}")


def test_a_refused_compiler_is_told_with_all_values() -> None:
    assert fault_of_compiler("12.4.131", gcc("15.1.0")) == (
        "nvcc 12.4 accepts GCC 13 at most, /usr/bin/g++ is 15.1.0: apt install g++-13"
    )


def test_a_cuda_that_is_newer_than_the_table_is_taken_for_its_last_row() -> None:
    assert fault_of_compiler("14.2.0", gcc("16.2.0")) is None
    assert fault_of_compiler("14.2.0", gcc("17.1.0")) is not None


def test_a_cuda_that_is_older_than_the_table_is_taken_for_its_first_row() -> None:
    assert fault_of_compiler("10.2.89", gcc("9.4.0")) is None
    assert fault_of_compiler("10.2.89", gcc("10.2.1")) is not None


@pytest.mark.parametrize(
    ("nvcc", "torch"),
    [("13.0.88", "13.0"), ("12.4.131", "12.8"), ("12.9.86", "12.1"), ("11.8.89", "11.3"), ("12.8.93", "12.8")],
)
def test_an_nvcc_builds_for_its_own_cuda_and_for_what_deepspeed_takes_for_it(nvcc: str, torch: str) -> None:
    assert fault_of_nvcc(nvcc, torch, skips_cuda_check=False) is None


@pytest.mark.parametrize(("nvcc", "torch"), [("12.4.131", "13.0"), ("13.0.88", "12.8"), ("11.8.89", "12.1")])
@pytest.mark.parametrize("skips_cuda_check", [False, True])
def test_another_major_is_never_taken(nvcc: str, torch: str, *, skips_cuda_check: bool) -> None:
    fault = fault_of_nvcc(nvcc, torch, skips_cuda_check=skips_cuda_check)
    assert fault is not None
    assert f"nvcc is {nvcc}" in fault
    assert f"install the toolkit of CUDA {torch}" in fault


@pytest.mark.parametrize(("nvcc", "torch"), [("13.1.80", "13.0"), ("13.0.88", "13.2"), ("12.10.1", "12.9")])
def test_another_minor_that_deepspeed_does_not_know_wants_the_recipe_s_word(nvcc: str, torch: str) -> None:
    fault = fault_of_nvcc(nvcc, torch, skips_cuda_check=False)
    assert fault is not None
    assert "skip_cuda_check: true" in fault
    assert fault_of_nvcc(nvcc, torch, skips_cuda_check=True) is None


def test_an_nvcc_that_knows_all_archs_has_no_fault() -> None:
    assert faults_of_archs("12.4.131", "12.4", ["sm_80", "sm_90"]) == ()
    assert faults_of_archs("13.0.88", "13.0", ["sm_90"], listed=["sm_80", "sm_90"]) == ()


def test_an_arch_of_a_later_toolkit_is_mended_by_it_where_deepspeed_takes_it() -> None:
    (fault,) = faults_of_archs("12.4.131", "12.4", ["sm_90", "sm_120"])
    assert fault.startswith("nvcc 12.4.131 makes no code for sm_120")
    assert "install the toolkit of CUDA 12.8" in fault


@pytest.mark.parametrize(
    ("nvcc", "torch", "arch"),
    [("13.0.88", "13.0", "sm_70"), ("11.8.89", "11.8", "sm_120"), ("13.0.88", "13.0", "sm_1")],
)
def test_an_arch_that_no_toolkit_for_this_torch_knows_needs_another_torch(nvcc: str, torch: str, arch: str) -> None:
    (fault,) = faults_of_archs(nvcc, torch, [arch])
    assert arch in fault
    assert f"hosts with {arch} need a torch" in fault


def test_an_nvcc_is_believed_when_it_does_not_list_an_arch() -> None:
    (fault,) = faults_of_archs("13.0.88", "13.0", ["sm_90"], listed=["sm_75", "sm_80"])
    assert "sm_90" in fault
