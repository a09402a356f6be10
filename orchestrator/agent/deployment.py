"""What this host remembers of the last committed deployment into each interpreter.

One file for each host and prefix, because hosts that share a home commit at the same moment.
"""

from __future__ import annotations

import hashlib
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cache import Cache
    from .request import Request


def commit(request: Request) -> dict[str, Any]:
    """Write the stamp: atomic, and on disk when this returns."""
    stamp = request.value("stamp", dict)
    path = _path(request.cache, stamp["prefix"])
    part = f"{path}.{os.urandom(8).hex()}.part"
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(part, "x", encoding="utf-8") as stream:
        json.dump({"hostname": os.uname().nodename, "stamp": stamp}, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return {}


def load_stamp(cache: Cache, prefix: str) -> dict[str, Any] | None:
    """Return the stamp of the interpreter with this prefix; None when nothing was committed there."""
    try:
        with open(_path(cache, prefix), encoding="utf-8") as stream:
            stamp: dict[str, Any] = json.load(stream)["stamp"]
    except (OSError, ValueError, KeyError):
        return None
    return stamp


def _path(cache: Cache, prefix: str) -> str:
    key = hashlib.sha256(f"{os.uname().nodename}\0{prefix}".encode()).hexdigest()[:32]
    return os.path.join(cache.folder, "deployments", f"{key}.json")
