"""Leaves the program that tells on this host, at any time and by itself, whether it still has what was committed."""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cache import Cache

_NAME = "status"


def leave_status_script(cache: Cache) -> None:
    """Put it into the cache as `status`, private and whole; a temporary cache gets none.

    It starts with the Python that runs this, whose path needs no PATH: Slurm's prologs have none. Never raises: a host
    without it is committed all the same.
    """
    if cache.note is not None:
        return
    path = os.path.join(cache.folder, _NAME)
    part = f"{path}.{os.urandom(8).hex()}.part"
    with contextlib.suppress(OSError):
        content = _content()
        if _read(path) == content:
            return
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w", encoding="utf-8") as stream:
                stream.write(content)
            os.replace(part, path)
        except OSError:
            os.unlink(part)
            raise


def _content() -> str:
    """Return the source of `local_status`, behind a first line that says what runs it: no site, no environment."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "local_status.py"), encoding="utf-8") as stream:
        return f"#!{sys.executable} -IS\n{stream.read()}"


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
