"""The stream that a source sends: units of one letter each, whose lengths follow from what was asked for.

`.` is a sign of life, `L` the list of the group that the next chunk belongs to, `C` a chunk. Lists and chunks are
verified as they become whole, so that a source that sends a wrong byte is caught here, and nothing of it is kept.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

    from .relay_holding import Holding

ALIVE = b"."
LIST = b"L"
CHUNK = b"C"

_COUNT = struct.Struct("!I")
_RANGE = struct.Struct("!II")


class WrongBytesError(Exception):
    """A source sent what does not have its digest, or no stream at all."""


class Intake:
    """Takes one source's stream apart: give it bytes in `room()`, then say how many with `filled`."""

    def __init__(self, holding: Holding, ranges: Sequence[tuple[int, int]]) -> None:
        self._holding = holding
        self._numbers = _numbers_of(ranges)
        self._number = next(self._numbers, None)
        self._listed: int | None = None
        self._filled = 0
        self._begin()

    def room(self) -> memoryview:
        """Return where the next bytes go: never more than to the end of the unit that has begun."""
        return self._view[self._filled :]

    def filled(self, count: int) -> None:
        """Take so many bytes as come. Raises WrongBytesError."""
        self._filled += count
        unit = self._unit
        while self._filled and unit[0] == ALIVE[0]:
            self._filled -= 1
            unit[: self._filled] = unit[1 : self._filled + 1]
        if self._filled and unit[0] != self._letter[0]:
            raise WrongBytesError(f"{bytes(unit[:1])!r} came where {self._letter!r} was due")
        if self._filled == len(unit):
            self._end()

    def take(self, piece: bytes) -> None:
        """Take bytes that came in one piece. Raises WrongBytesError."""
        rest = memoryview(piece)
        while rest:
            room = self.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            self.filled(count)
            rest = rest[count:]

    def _begin(self) -> None:
        layout = self._holding.layout
        if self._number is None:
            self._letter, size = ALIVE, 0
        elif (chunk := layout.chunks[self._number]).group == self._listed:
            self._letter, size = CHUNK, chunk.size
        else:
            self._letter, size = LIST, layout.list_bytes(chunk.group)
        self._unit = bytearray(1 + size)
        self._view = memoryview(self._unit)

    def _end(self) -> None:
        if self._number is None:
            raise WrongBytesError("more came than was asked for")
        if self._letter is LIST:
            self._listed = self._holding.layout.chunks[self._number].group
            self._holding.take_list(self._listed, bytes(self._view[1:]))
        else:
            self._holding.take_chunk(self._number, self._unit)
            self._number = next(self._numbers, None)
        self._filled = 0
        self._begin()


def encode_wish(ranges: Sequence[tuple[int, int]]) -> bytes:
    """Return what a child asks its parent for."""
    return _COUNT.pack(len(ranges)) + b"".join(_RANGE.pack(*limits) for limits in ranges)


def decode_wish(content: bytes, chunk_count: int) -> list[int] | None:
    """Return the chunks that a child asks for; None while something of it is still to come.

    Raises ValueError for anything but ascending ranges of chunks that there are.
    """
    if len(content) < _COUNT.size:
        return None
    (count,) = _COUNT.unpack_from(content)
    if count > chunk_count or len(content) > _COUNT.size + count * _RANGE.size:
        raise ValueError(f"{count} ranges in {len(content)} bytes")
    if len(content) < _COUNT.size + count * _RANGE.size:
        return None
    ranges = list(_RANGE.iter_unpack(content[_COUNT.size :]))
    limits = [limit for ends in ranges for limit in ends]
    if limits != sorted(limits) or (limits and limits[-1] > chunk_count):
        raise ValueError("not ascending ranges of chunks")
    return list(_numbers_of(ranges))


def _numbers_of(ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
    for first, end in ranges:
        yield from range(first, end)
