"""How a cargo is cut, how a stream is read, and how a wish is: pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_peers import Cargo, wish

from orchestrator.agent.relay_layout import Layout, to_ranges
from orchestrator.agent.relay_stream import Intake, WrongBytesError, decode_wish, encode_wish

SIZES = st.lists(st.integers(0, 200), max_size=5)


class Kept:
    """Stands for a holding that believes everything; remembers what it was given."""

    def __init__(self, cargo: Cargo) -> None:
        self.layout = Layout([file["size"] for file in cargo.files], cargo.chunk_bytes, cargo.group)
        self.lists: dict[int, bytes] = {}
        self.chunks: dict[int, bytes] = {}

    def take_list(self, group: int, content: bytes) -> None:
        self.lists[self.layout.groups[group][0]] = content

    def take_chunk(self, number: int, unit: bytearray) -> None:
        self.chunks[number] = bytes(unit[1:])


def make_cargo(sizes: Sequence[int], chunk_bytes: int, group: int) -> Cargo:
    source = random.Random(0)
    contents = {f"cache:{number}": source.randbytes(size) for number, size in enumerate(sizes)}
    return Cargo(contents, chunk_bytes=chunk_bytes, group=group)


@given(SIZES, st.integers(1, 50), st.integers(1, 5))
def test_a_layout_cuts_as_the_protocol_says(sizes: list[int], chunk_bytes: int, group: int) -> None:
    cargo = make_cargo(sizes, chunk_bytes, group)
    layout = Layout(sizes, chunk_bytes, group)
    assert layout.total_bytes == sum(sizes)
    contents = list(cargo.contents.values())
    assert [contents[c.file][c.offset : c.offset + c.size] for c in layout.chunks] == cargo.chunks
    assert [numbers[0] for numbers in layout.groups] == list(cargo.list_of)
    assert [layout.list_bytes(number) for number in range(len(layout.groups))] == list(map(len, cargo.list_of.values()))
    assert [len(groups) for groups in layout.files] == [len(file["digests"]) for file in cargo.files]
    for number, numbers in enumerate(layout.groups):
        assert [(layout.chunks[n].group, layout.chunks[n].place) for n in numbers] == [
            (number, place) for place in range(len(numbers))
        ]


@given(st.sets(st.integers(0, 30)))
def test_ranges_hold_what_they_were_made_of(numbers: set[int]) -> None:
    ranges = to_ranges(sorted(numbers))
    assert [number for first, end in ranges for number in range(first, end)] == sorted(numbers)
    assert all(ranges[i][1] < ranges[i + 1][0] for i in range(len(ranges) - 1))


@given(st.data(), SIZES, st.integers(1, 50), st.integers(1, 5))
def test_a_stream_may_come_in_any_slices_with_signs_of_life_between_its_units(
    data: Any, sizes: list[int], chunk_bytes: int, group: int
) -> None:
    cargo = make_cargo(sizes, chunk_bytes, group)
    ranges = to_ranges(sorted(data.draw(st.sets(st.sampled_from(range(len(cargo.chunks))))))) if cargo.chunks else []
    kept = Kept(cargo)
    intake = Intake(kept, ranges)  # type: ignore[arg-type]
    stream = b"".join(b"." * data.draw(st.integers(0, 3)) + unit for unit in [*cargo.units(ranges), b""])
    while stream:
        count = data.draw(st.integers(1, len(stream)))
        intake.take(stream[:count])
        stream = stream[count:]
    assert kept.chunks == {number: cargo.chunks[number] for limits in ranges for number in range(*limits)}
    assert all(cargo.list_of[start] == content for start, content in kept.lists.items())


@pytest.mark.parametrize("stream", [b"X", b"C", b".C", b"..?"])
def test_another_letter_than_the_one_that_is_due_is_refused(stream: bytes) -> None:
    intake = Intake(Kept(make_cargo([10], 3, 2)), [(0, 4)])  # type: ignore[arg-type]
    with pytest.raises(WrongBytesError):
        intake.take(stream)


def test_after_the_last_chunk_only_signs_of_life_may_come() -> None:
    cargo = make_cargo([10], 3, 2)
    intake = Intake(Kept(cargo), [(0, 4)])  # type: ignore[arg-type]
    intake.take(cargo.stream([[0, 4]]) + b"...")
    with pytest.raises(WrongBytesError):
        intake.take(b"C")


@given(st.sets(st.integers(0, 30)), st.integers(0, 300))
def test_a_wish_is_read_when_it_is_whole(numbers: set[int], cut: int) -> None:
    ranges = to_ranges(sorted(numbers))
    content = encode_wish(ranges)
    assert content == wish(*ranges)
    assert decode_wish(content, 31) == sorted(numbers)
    if cut < len(content):
        assert decode_wish(content[:cut], 31) is None


@pytest.mark.parametrize(
    "content", [wish((0, 32)), wish((2, 1)), wish((3, 5), (2, 6)), wish((0, 1)) + b"x", b"\xff" * 4]
)
def test_a_wish_for_what_there_is_not_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"ranges"):
        decode_wish(content, 31)
