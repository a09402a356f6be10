"""Numbers the chunks of a cargo: through all files, file by file, in groups that never cross files."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Sequence

DIGEST_BYTES = 32


class Chunk:
    """Where one chunk belongs: `place` is its position within its group."""

    __slots__ = ("file", "group", "offset", "place", "size")

    def __init__(self, file: int, offset: int, size: int, group: int, place: int) -> None:
        self.file = file
        self.offset = offset
        self.size = size
        self.group = group
        self.place = place


class Layout:
    """Every chunk by number; the chunks of each group, and the groups of each file, as ranges of numbers."""

    def __init__(self, sizes: Sequence[int], chunk_bytes: int, group_chunks: int) -> None:
        self.total_bytes = sum(sizes)
        self.chunks: list[Chunk] = []
        self.groups: list[range] = []
        self.files: list[range] = []
        for file, size in enumerate(sizes):
            first_group = len(self.groups)
            for start in range(0, size, chunk_bytes * group_chunks):
                end = min(start + chunk_bytes * group_chunks, size)
                self._add_group(file, range(start, end, chunk_bytes), end)
            self.files.append(range(first_group, len(self.groups)))

    def list_bytes(self, group: int) -> int:
        """Return the length of a group's list: the digest of each of its chunks."""
        return DIGEST_BYTES * len(self.groups[group])

    def _add_group(self, file: int, offsets: range, end: int) -> None:
        first, group = len(self.chunks), len(self.groups)
        for place, offset in enumerate(offsets):
            self.chunks.append(Chunk(file, offset, min(offsets.step, end - offset), group, place))
        self.groups.append(range(first, len(self.chunks)))


def to_ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as half-open ranges."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return ranges
