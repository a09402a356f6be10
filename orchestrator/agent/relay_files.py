"""One file of a cargo on this host's disk: a part file that grows, until it is whole and gets its name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading

_NOBODY = -1


class TargetFile:
    """It is written by one thread and read by another. Every method may raise OSError.

    The part file's name is always the same, so that the next run finds what an interrupted one has left.
    """

    def __init__(self, path: str, size: int, mode: int) -> None:
        self.path = path
        self.size = size
        self.is_whole = False
        """Whether it is there under its final name."""
        self._mode = mode
        self._folder, name = os.path.split(path)
        self._part = os.path.join(self._folder, f".{name}.part")
        self._is_for_later = True
        self._descriptor = _NOBODY
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is something to read from and to write to."""
        return self._descriptor != _NOBODY

    def open_final(self) -> int | None:
        """Return a descriptor of what has the final name and the right size; None when there is no such thing."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if os.fstat(descriptor).st_size == self.size:
            return descriptor
        os.close(descriptor)
        return None

    def adopt(self, descriptor: int) -> None:
        """Take what has the final name for this file; its bytes were verified."""
        with self._lock:
            if self.is_whole:
                os.close(descriptor)
                return
            if self.is_open:
                os.close(self._descriptor)
                with contextlib.suppress(OSError):
                    os.unlink(self._part)
            self._descriptor = descriptor
            self.is_whole = True

    def open_part(self) -> int:
        """Open and return the part file; a new one of another name when somebody else writes to it at this moment."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        descriptor = _open_locked(self._part)
        if descriptor is None:
            self._part = f"{self._part[: -len('.part')]}.{os.urandom(8).hex()}.part"
            self._is_for_later = False
            descriptor = _open(self._part, os.O_EXCL)
        self._descriptor = descriptor
        if os.fstat(descriptor).st_size > self.size:
            os.ftruncate(descriptor, self.size)
        return descriptor

    def room(self) -> tuple[int, int]:
        """Return which file system this is (its number), and how many bytes are free there."""
        found = os.fstatvfs(self._descriptor)
        return os.fstat(self._descriptor).st_dev, found.f_bavail * found.f_frsize

    def read(self, view: memoryview, offset: int) -> bool:
        """Fill `view` from `offset` on; return whether there was enough."""
        return os.preadv(self._descriptor, [view], offset) == len(view)

    def write(self, view: memoryview, offset: int) -> None:
        """Write all of it; nothing once the file is whole."""
        with self._lock:
            while view and not self.is_whole:
                count = os.pwrite(self._descriptor, view, offset)
                view, offset = view[count:], offset + count

    def finish(self) -> None:
        """Give the file its mode and its name: everything is written."""
        with self._lock:
            if self.is_whole:
                return
            os.fchmod(self._descriptor, self._mode)
            try:
                os.replace(self._part, self.path)
            except FileNotFoundError:  # a file system without locks: another host had the same part file, and was first
                if not os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
                    raise
            self.is_whole = True
            if not self._is_for_later:
                self._discard_left_part()

    def _discard_left_part(self) -> None:
        """Remove the part file of somebody who has died meanwhile: nobody needs it any more."""
        part = os.path.join(self._folder, f".{os.path.basename(self.path)}.part")
        with contextlib.suppress(OSError):
            descriptor = _open_locked(part)
            if descriptor is not None:
                os.unlink(part)
                os.close(descriptor)

    def close(self) -> None:
        """Leave the part file to the next run, unless that would not look for it."""
        with self._lock:
            if self.is_open:
                os.close(self._descriptor)
                self._descriptor = _NOBODY
                if not self.is_whole and not self._is_for_later:
                    with contextlib.suppress(OSError):
                        os.unlink(self._part)


def _open(path: str, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)


def _open_locked(path: str) -> int | None:
    """Open a file that nobody else has locked, or may lock while it is open; None when somebody has."""
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass  # its owner has just given it its final name
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)
