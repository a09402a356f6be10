"""Lets one at a time use a file, of all threads and processes, also of other machines that share it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.01


@contextmanager
def take_turn(lock: Path, *, patience_s: float) -> Iterator[None]:
    """Hold the exclusive lock of a file that is there for nothing else; the kernel frees it when its owner ends.

    Raises TimeoutError when others keep it for longer than the patience lasts.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, lock, patience_s)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, lock: Path, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(None, f"locked for more than {patience_s:g} s", str(lock)) from None
        time.sleep(_PAUSE_S)
