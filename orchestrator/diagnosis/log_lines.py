"""Read a log of any size in bounded memory: the lines worth a look, each kind of line once, with those around it."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK = 1 << 20
"""Bytes that are read at once."""
_LONGEST_KEPT = 1 << 16
"""Longer lines are taken for several that have one number: many lines are kept at once."""
_AROUND = 100
"""Lines that a passage can look back and ahead, and the last ones, which are looked at in any case."""
_LONGEST_LINE = 4000
"""Longer lines are looked at in pieces; nothing that tells an error is longer."""
_PIECE = 1200
_OVERLAP = 200
_MOST_KINDS = 400_000
"""Kinds of lines that are remembered; then all are forgotten, and may be looked at again."""
_MOST_LOOKS = 50_000
"""Kinds of lines that are worth a look; a log with more of them shows what is wrong in those and at its end."""
_ALIKE = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
"""Lines are of one kind when they differ in numbers, addresses and digests only."""
_LONG_NUMBERS = re.compile(rb"\d[\d.,:-]+")
"""What may differ in lines of one kind that are worth a look: `signal 4` is not `signal 9`."""
_DRAWN_OVER = re.compile(rb"\r+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A line that is worth a look, and the lines around it."""

    lines: Sequence[bytes]
    numbers: Sequence[int]
    """Of each of `lines`, as the file counts them from 1."""
    index: int
    """Which of `lines` it is about."""
    pieces: Sequence[bytes]
    """What is worth a look of it: all that stood there, where carriage returns drew it over."""

    @property
    def number(self) -> int:
        """Where it is in the file."""
        return self.numbers[self.index]

    def around(self, before: int, after: int) -> list[tuple[int, bytes]]:
        """Return so many lines before it, it, and so many after it, with their numbers."""
        there = slice(max(0, self.index - before), self.index + after + 1)
        return list(zip(self.numbers[there], self.lines[there], strict=True))


class LogLines:
    """One reading of a log; afterwards `tail` holds its last lines."""

    def __init__(self, stream: BinaryIO, words: Sequence[bytes], more_words: Sequence[bytes] = ()) -> None:
        """Read `stream` from where it stands.

        A line is worth a look when it holds one of `words`, or of `more_words` where it is not very long.
        """
        self._stream = stream
        self._words = words
        self._all_words = [*words, *more_words]
        self._kinds: set[int] = set()
        self._looked_at: set[int] = set()
        self._looks = 0
        self.tail: list[tuple[int, bytes]] = []

    def __iter__(self) -> Iterator[Passage]:
        lines: list[bytes] = []
        numbers: list[int] = []
        start, number = 0, 1
        for block, ends_line in _blocks(self._stream):
            for line in block:
                cut = _cut(line, _LONGEST_KEPT) if len(line) > _LONGEST_KEPT else [line]
                lines += cut
                numbers += [number] * len(cut)
                number += 1
            number -= not ends_line
            end = max(start, len(lines) - _AROUND)
            if self._looks < _MOST_LOOKS:
                yield from self._passages(lines, numbers, range(start, end))
            gone = max(0, end - _AROUND)
            lines, numbers, start = lines[gone:], numbers[gone:], end - gone
        yield from self._passages(lines, numbers, range(start, len(lines)))
        self.tail = list(zip(numbers, lines, strict=True))

    def _passages(self, lines: list[bytes], numbers: list[int], which: range) -> Iterator[Passage]:
        for index in which:
            line = lines[index]
            if len(line) > _LONGEST_LINE:
                pieces = [piece for piece in _pieces(line) if self._is_worth_a_look(piece, self._words)]
            elif self._is_worth_a_look(line, self._all_words):
                pieces = _pieces(line) if b"\r" in line else [line]
            else:
                continue
            if pieces:
                self._looks += len(pieces)
                yield Passage(lines=lines, numbers=numbers, index=index, pieces=pieces)
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.clear()
            self._looked_at.clear()

    def _is_worth_a_look(self, line: bytes, words: Sequence[bytes]) -> bool:
        kind = hash(line.translate(_ALIKE))
        if kind not in self._kinds:
            self._kinds.add(kind)
            if not any(word in line for word in words):
                return False
            self._looked_at.add(kind)
        elif kind not in self._looked_at:
            return False
        exactly = hash(_LONG_NUMBERS.sub(b"0", line))
        is_new = exactly not in self._looked_at
        self._looked_at.add(exactly)
        return is_new


def _pieces(line: bytes) -> list[bytes]:
    """Return what stood in a line one after the other, where it is long in pieces."""
    return [piece for drawn in _DRAWN_OVER.split(line) if drawn.strip() for piece in _cut(drawn, _PIECE)]


def _cut(line: bytes, size: int) -> list[bytes]:
    """Cut a line into pieces that overlap."""
    return [line[at : at + size] for at in range(0, max(len(line) - _OVERLAP, 1), size - _OVERLAP)]


def _blocks(stream: BinaryIO) -> Iterator[tuple[list[bytes], bool]]:
    """Yield the stream's lines by the megabyte, and whether the last of them ends there."""
    carried = b""
    for data in _as_utf8(_unpacked(_read(stream))):
        text = carried + data
        cut = text.rfind(b"\n")
        if cut >= 0:
            yield text[:cut].split(b"\n"), True
            carried = text[cut + 1 :]
        elif len(text) >= _BLOCK:
            yield [text], False
            carried = b""
        else:
            carried = text
    if carried:
        yield [carried], True


def _read(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(_BLOCK), b"")


def _unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack what begins like a gzip file, as far as it is whole."""
    first = next(blocks, b"")
    if not first.startswith(b"\x1f\x8b"):
        yield first
        yield from blocks
        return
    unpacker = zlib.decompressobj(wbits=31)
    data = first
    try:
        while data:
            yield unpacker.decompress(data, _BLOCK)
            data = unpacker.unconsumed_tail or next(blocks, b"")
    except zlib.error:
        return


def _as_utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Turn UTF-16, as PowerShell writes it, into UTF-8; leave everything else as it is."""
    first = next(blocks, b"")
    encoding = _utf16(first[:4096])
    if encoding is None:
        yield first
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(first).encode(errors="replace")
    for block in blocks:
        yield decoder.decode(block).encode(errors="replace")


def _utf16(start: bytes) -> str | None:
    """Say which UTF-16 a text seems to be in: by its mark, or because every other byte of plain words is zero."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = [start[0::2].count(0), start[1::2].count(0)]
    if max(zeros) * 2 <= len(start) // 2 or min(zeros) * 10 > max(zeros):
        return None
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
