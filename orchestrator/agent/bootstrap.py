"""The first line that the controller sends, as text: takes the agent into the host's cache once, then serves.

`packing.pack` makes the line. Nothing of the agent is there yet, and nothing is imported before it is needed.
"""

from __future__ import annotations

import importlib
import json
import os
import stat
import sys


def start(digest: str, size: int) -> None:
    """Find or receive the agent, `size` bytes with this sha256 (hex); serve until the controller hangs up."""
    home, note = open_home()
    folder = os.path.join(home, "agent", digest)
    have = os.path.isdir(folder)
    say(have=have)
    if have or unpack(sys.stdin.buffer.read(size), digest, folder):
        sys.path.insert(0, folder)
        importlib.import_module("dsdeploy_agent.server").serve(home, note)


def say(**fields: object) -> None:
    """Write one frame; nothing else writes to standard output before the agent runs."""
    os.write(1, (json.dumps(dict(fields, event="agent")) + "\n").encode())


def open_home() -> tuple[str, str | None]:
    """Return this user's cache folder and None, or a new temporary one and why the cache cannot be used."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.path.join(cache, "dsdeploy")
    agents = os.path.join(home, "agent")
    try:
        os.makedirs(cache, exist_ok=True)
        for folder in (home, agents):
            if not os.path.isdir(folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
        reason = fault_of(home) or (None if os.access(agents, os.W_OK) else "it cannot be written to")
    except OSError as error:
        reason = error.strerror
    if reason is None:
        return home, None
    temporary: str = importlib.import_module("tempfile").mkdtemp(prefix="dsdeploy-")
    os.mkdir(os.path.join(temporary, "agent"))
    return temporary, f"{home} is not used, so nothing is kept on this host: {reason}"


def fault_of(home: str) -> str | None:
    """Return why a folder must not be trusted: what lies in it is run, and decides what is installed."""
    found = os.stat(home)
    if found.st_uid != os.geteuid():
        return "it belongs to somebody else"
    return "others may write to it" if stat.S_IMODE(found.st_mode) & 0o022 else None


def unpack(content: bytes, digest: str, folder: str) -> bool:
    """Put the packed files into `folder`, all or none; return False, and say so, when these are other bytes."""
    if importlib.import_module("hashlib").sha256(content).hexdigest() != digest:
        say(error="it did not arrive whole")
        return False
    part = f"{folder}.{os.urandom(8).hex()}"
    package = os.path.join(part, "dsdeploy_agent")
    os.makedirs(package)
    for name, source in json.loads(importlib.import_module("zlib").decompress(content)).items():
        with open(os.path.join(package, name), "x", encoding="utf-8") as stream:
            stream.write(source)
    try:
        os.rename(part, folder)
    except OSError:  # another session was faster
        importlib.import_module("shutil").rmtree(part)
    return True
