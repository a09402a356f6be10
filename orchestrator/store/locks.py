"""Locks between processes that a dead owner cannot keep."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path


@contextmanager
def hold(path: Path, *, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the exclusive lock of a file, waiting for it when another process or thread has it.

    Before it waits, `on_wait` is told the owner's line: `process 42 on ctl since 2026-01-31T12:00:00+00:00`.
    The kernel frees the lock when its owner ends, however it ends; over NFS too (flock(2), which there wants the file
    open for writing). The file itself stays: were it removed, two processes could lock two files of one name.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            on_wait(file.read().strip() or "another process")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(_owner_line())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _owner_line() -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}\n"
