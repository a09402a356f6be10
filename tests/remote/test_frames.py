"""Cutting a stream into frames, however its bytes come."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.remote.frames import Frame, FrameReader, Noise, encode


def in_pieces(stream: bytes, size: int) -> Callable[[int], bytes]:
    pieces = iter([stream[start : start + size] for start in range(0, len(stream), size)])
    return lambda _limit: next(pieces, b"")


def read_all(stream: bytes, *, size: int = 65536) -> list[Frame | Noise]:
    reader = FrameReader(in_pieces(stream, size))
    return list(iter(reader.next, None))


headers = st.dictionaries(st.text(), st.none() | st.integers() | st.text()).map(
    lambda header: {key: value for key, value in header.items() if key != "bytes"}
)


@settings(max_examples=40)
@given(st.lists(st.tuples(headers, st.binary())), st.integers(min_value=1, max_value=40))
def test_frames_come_back_as_they_went_whatever_the_pieces(
    messages: list[tuple[dict[str, object], bytes]], size: int
) -> None:
    stream = b"".join(encode(header, payload) for header, payload in messages)
    frames = read_all(stream, size=size)
    assert [frame.payload for frame in frames if isinstance(frame, Frame)] == [payload for _, payload in messages]
    assert [frame.header for frame in frames if isinstance(frame, Frame)] == [
        {**header, "bytes": len(payload)} if payload else header for header, payload in messages
    ]


@pytest.mark.parametrize("cut", [1, 5, 20, 25])
def test_a_stream_that_ends_inside_a_frame_has_no_such_frame(cut: int) -> None:
    whole = encode({"id": 1, "event": "chunk"}, b"12345")
    assert read_all(whole[:-cut]) == []


@pytest.mark.parametrize(
    "line", ["Welcome to worker-0!", "", "[1, 2]", "17", '{"bytes": "many"}', '{"bytes": -1}', "\udcff\udc80"]
)
def test_a_line_that_is_no_frame_is_noise_and_the_next_one_is_read(line: str) -> None:
    stream = line.encode(errors="surrogateescape") + b"\r\n" + encode({"id": 1})
    noise, frame = read_all(stream)
    assert isinstance(noise, Noise)
    assert frame == Frame(header={"id": 1})
