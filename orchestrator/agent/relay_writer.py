"""Writes verified chunks to disk in a thread of its own, so that neither receiving nor serving waits for the disk."""

from __future__ import annotations

import queue
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .relay_files import TargetFile

_BATCH_BYTES = 1 << 19
"""Waking a thread for every small chunk costs more than writing it."""
_LIMIT_BYTES = 8 << 20
_RESUME_BYTES = 4 << 20
_END_S = 1.0


class Batch:
    """Chunks of one file, one after another, with their letters; the last batch of a file makes it whole."""

    def __init__(self, file: TargetFile, offset: int) -> None:
        self.file = file
        self.units: dict[int, bytearray] = {}
        self.size = 0
        self.is_last = False
        self._offset = offset

    def continues(self, file: TargetFile, offset: int) -> bool:
        """Return whether what begins there may be added."""
        return file is self.file and offset == self._offset + self.size

    def add(self, number: int, unit: bytearray, *, is_last: bool) -> None:
        """Add a chunk; `is_last` when nothing else lacks of the file."""
        self.units[number] = unit
        self.size += len(unit) - 1
        self.is_last = is_last

    def write(self) -> None:
        """Write it. Raises OSError."""
        self.file.write(memoryview(b"".join([memoryview(unit)[1:] for unit in self.units.values()])), self._offset)
        if self.is_last:
            self.file.finish()


class Writer:
    """Holds in memory what is not written yet.

    `wake` is called, in the writer's thread, when there is room again for who was told that there is none, when a file
    is whole, and when writing failed; then `failure` says which file, and why.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.failure: tuple[TargetFile, OSError] | None = None
        self._wake = wake
        self._unwritten: dict[int, bytearray] = {}
        self._batch: Batch | None = None
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._put_bytes = 0  # each of the two counters has one thread that changes it
        self._written_bytes = 0
        self._is_awaited = False
        self._thread: threading.Thread | None = None

    def put(self, number: int, file: TargetFile, offset: int, unit: bytearray, *, is_last: bool) -> None:
        """Have a chunk written, at the next `flush` at the latest: all of `unit` but its first letter."""
        if self._batch is not None and not self._batch.continues(file, offset):
            self.flush()
        if self._batch is None:
            self._batch = Batch(file, offset)
        self._unwritten[number] = unit
        self._put_bytes += len(unit) - 1
        self._batch.add(number, unit, is_last=is_last)
        if is_last or self._batch.size >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Have written what was put."""
        if self._batch is not None:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._queue.put(self._batch)
            self._batch = None

    def unwritten(self, number: int) -> bytearray | None:
        """Return the unit of a chunk that cannot be read from its file yet."""
        return self._unwritten.get(number)

    def has_room(self) -> bool:
        """Return whether more may be put; who is told no is woken when that changes."""
        limit = _RESUME_BYTES if self._is_awaited else _LIMIT_BYTES
        self._is_awaited = self._put_bytes - self._written_bytes > limit
        return not self._is_awaited

    def close(self) -> bool:
        """Write what waits; return whether that is over within 1 s: a disk that hangs holds nobody else."""
        self.flush()
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(_END_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self.failure is None:
                try:
                    batch.write()
                except OSError as error:
                    self.failure = batch.file, error
                else:
                    for number in batch.units:
                        del self._unwritten[number]
            self._written_bytes += batch.size
            if batch.is_last or self.failure is not None or self._is_awaited:
                self._wake()
