"""Reading fat binaries: sections that a real nvcc made, and the same ones damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.audit.fatbin import ARCH_NUMBERS, CodeKind, read_fatbin

CAPTURES = sorted((Path(__file__).parents[1] / "captures" / "fatbin").glob("*.fatbin"))
WHOLE = next(path for path in CAPTURES if path.stem == "sm_80+sm_90+compute_90").read_bytes()
CONTAINER_BYTES = 16
KIND, ENTRY_SIZE, ARCH, FLAGS = 0, 4, 28, 40
"""Where they are in an entry."""


def changed(offset: int, value: int, *, size: int = 4, start: int = CONTAINER_BYTES) -> bytes:
    """The first entry with another number in its header."""
    place = start + offset
    return WHOLE[:place] + value.to_bytes(size, "little") + WHOLE[place + size :]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_exactly_the_archs_that_nvcc_was_asked_for_are_found(capture: Path) -> None:
    assert sorted(code.arch for code in read_fatbin(capture.read_bytes())) == sorted(capture.stem.split("+"))


def test_there_are_captures_of_all_kinds() -> None:
    archs = {arch for path in CAPTURES for arch in path.stem.split("+")}
    assert {arch[-1] for arch in archs} >= {"0", "a", "f"}
    assert {arch.partition("_")[0] for arch in archs} == {"sm", "compute"}


def test_ptx_and_machine_code_are_told_apart() -> None:
    found = {code.arch: (code.kind, code.is_compressed) for code in read_fatbin(WHOLE)}
    assert found["sm_90"] == (CodeKind.CUBIN, False)
    assert found["compute_90"] == (CodeKind.PTX, True)


def test_containers_stand_one_behind_the_other() -> None:
    assert read_fatbin(WHOLE + WHOLE) == read_fatbin(WHOLE) * 2


def test_a_section_without_containers_holds_no_code() -> None:
    assert read_fatbin(b"") == ()


def test_the_letter_is_read_from_the_flags() -> None:
    flags = int.from_bytes(WHOLE[CONTAINER_BYTES + FLAGS :][:8], "little")
    assert read_fatbin(changed(FLAGS, flags | 1 << 20, size=8))[0].arch == "sm_80a"
    assert read_fatbin(changed(FLAGS, flags | 1 << 21, size=8))[0].arch == "sm_80f"


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (changed(0, 0xBA55ED51, start=0), "no fat binary at byte 0"),
        (changed(4, 2, size=2, start=0), "no fat binary at byte 0"),
        (changed(6, 8, size=2, start=0), "no fat binary at byte 0"),
        (changed(8, len(WHOLE), size=8, start=0), "no fat binary at byte 0"),
        (WHOLE + b"\0" * 8, f"cut off at byte {len(WHOLE)}"),
        (WHOLE + b"\0" * 16, f"no fat binary at byte {len(WHOLE)}"),
        (changed(KIND, 8, size=2), "kind 8"),
        (changed(ENTRY_SIZE, 0), "cut off at byte 16"),
        (changed(ENTRY_SIZE, len(WHOLE)), "cut off at byte 16"),
        (changed(ARCH, 0), "arch 0"),
        (changed(ARCH, ARCH_NUMBERS.stop), "arch 1000"),
        (changed(FLAGS, 3 << 20, size=8), "flags 0x300000"),
    ],
)
def test_another_format_is_a_value_error_and_never_a_guess(damaged: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_fatbin(damaged)


@given(st.integers(min_value=1, max_value=len(WHOLE) - 1))
def test_a_section_that_is_cut_off_anywhere_is_a_value_error(size: int) -> None:
    with pytest.raises(ValueError, match="fat binary"):
        read_fatbin(WHOLE[:size])


@given(st.binary(max_size=200))
def test_any_other_bytes_are_a_value_error(content: bytes) -> None:
    if content:
        with pytest.raises(ValueError, match="fat binary"):
            read_fatbin(content)
