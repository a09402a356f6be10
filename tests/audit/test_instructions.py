"""Which CPU machine code is for: code of a real compiler, for each level."""

from __future__ import annotations

from pathlib import Path

import pytest
from crafted_objects import SCALE, compile_op, on_x86

from orchestrator.audit.instructions import asks_the_cpu, find_cpu_level
from orchestrator.audit.shared_objects import read_shared_object
from orchestrator.model.signature import CpuLevel

pytestmark = pytest.mark.process

INTRINSICS = """
#include <immintrin.h>
void scale(float *values, int count) {
    for (int index = 0; index + 16 <= count; index += 16)
        _mm512_storeu_ps(values + index, _mm512_add_ps(_mm512_loadu_ps(values + index), _mm512_set1_ps(1.0f)));
}
void copy(float *to, float *from) { _mm512_storeu_ps(to, _mm512_loadu_ps(from)); }
"""
CHOOSING = """
#include <cpuid.h>
int has_avx512(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx >> 16 & 1);
}
"""


@on_x86
@pytest.mark.parametrize(
    ("march", "level"),
    [
        ("x86-64", CpuLevel.X86_64_V1),
        ("x86-64-v2", CpuLevel.X86_64_V1),
        ("x86-64-v3", CpuLevel.X86_64_V3),
    ],
)
def test_the_level_that_vectorised_code_was_compiled_for_is_found(tmp_path: Path, march: str, level: CpuLevel) -> None:
    library = read_shared_object(compile_op(tmp_path, SCALE, "-O3", f"-march={march}"))
    assert library.cpu_level is level
    assert not library.asks_the_cpu


@on_x86
def test_the_widest_registers_are_found(tmp_path: Path) -> None:
    library = read_shared_object(compile_op(tmp_path, INTRINSICS, "-O2", "-march=x86-64-v4"))
    assert library.cpu_level is CpuLevel.X86_64_V4


@on_x86
def test_code_that_asks_the_cpu_is_noticed(tmp_path: Path) -> None:
    assert read_shared_object(compile_op(tmp_path, CHOOSING, "-O2")).asks_the_cpu


def test_a_look_alike_in_much_other_code_is_chance() -> None:
    move = bytes.fromhex("62f17c481006")
    assert find_cpu_level(move * 2 + bytes(1000)) is CpuLevel.X86_64_V4
    assert find_cpu_level(move + bytes(1000)) is CpuLevel.X86_64_V1
    assert find_cpu_level(move * 2 + bytes(1_000_000)) is CpuLevel.X86_64_V1
    shorter_move = bytes.fromhex("c5f81006")
    assert find_cpu_level(shorter_move * 4 + bytes(1000)) is CpuLevel.X86_64_V3
    assert find_cpu_level(shorter_move * 3 + bytes(1000)) is CpuLevel.X86_64_V1


def test_no_code_is_of_the_lowest_level() -> None:
    assert find_cpu_level(b"") is CpuLevel.X86_64_V1
    assert not asks_the_cpu(b"")


@on_x86
def test_other_machines_have_no_level_that_can_be_told(tmp_path: Path) -> None:
    content = bytearray(compile_op(tmp_path, SCALE).read_bytes())
    content[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    library = read_shared_object(bytes(content))
    assert (library.machine, library.cpu_level) == ("aarch64", None)
