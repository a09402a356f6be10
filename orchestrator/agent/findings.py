"""Sees what may spoil jobs on this host though every op can be used: leftovers of JIT compiling, runtimes that collide.

Whatever cannot be read is not told: nothing here makes a check fail.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shlex

from .shared_folder import is_on_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, Mapping

    Finding = dict[str, Any]

_LEAST_AGE_S = 60.0
_LEAST_AGE_ON_NETWORK_S = 3600.0
"""Longer than one op compiles: a lock there may be held on another host, where it cannot be seen."""
_TORCH_INCLUDED = re.compile(r"-isystem (\S+/torch)/include(?=\s|$)")
_MOST_TOLD = 5


def find_all(environment: Mapping[str, str], home: str, platlib: str, now_s: float) -> list[Finding]:
    """Return the documents of the model's `Finding`s.

    `environment` and `home` are those of the user whose jobs run here; `now_s` is the time since the epoch.
    """
    mounts = _text("/proc/self/mountinfo")
    extensions, triton = cache_folders(environment, home)
    builds = sorted(path for depth in ("*", "*/*") for path in glob.glob(os.path.join(glob.escape(extensions), depth)))
    least_age_s = _LEAST_AGE_ON_NETWORK_S if is_on_network(extensions, mounts) else _LEAST_AGE_S
    return [
        *_stale_locks(old_locks(builds, now_s - least_age_s)),
        *_orphans(builds),
        *_on_network(extensions, "jit-cache-stale-nfs", "TORCH_EXTENSIONS_DIR", mounts),
        *_on_network(triton, "triton-cache-nfs", "TRITON_CACHE_DIR", mounts),
        *_several_runtimes(environment.get("LD_LIBRARY_PATH", ""), platlib),
    ]


def cache_folders(environment: Mapping[str, str], home: str) -> tuple[str, str]:
    """Return where torch (torch/utils/cpp_extension.py) and Triton keep what they have compiled."""
    caches = environment.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    extensions = environment.get("TORCH_EXTENSIONS_DIR") or os.path.join(caches, "torch_extensions")
    triton = environment.get("TRITON_CACHE_DIR") or os.path.join(home, ".triton", "cache")
    return os.path.realpath(extensions), os.path.realpath(triton)


def old_locks(builds: Iterable[str], before_s: float) -> list[str]:
    """Return the locks in these folders that were made before a time, which torch waits for, for ever."""
    found = []
    for path in (os.path.join(build, "lock") for build in builds):
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime < before_s:
                found.append(path)
    return found


def _stale_locks(locks: list[str]) -> Iterator[Finding]:
    held = set(_names_of_open_locks()) if locks else set()
    stale = [lock for lock in locks if _name(lock) not in held]
    if stale:
        text = f"JIT compiling waits for ever for a lock that no process here holds: {_listed(stale)}"
        yield _finding("jit-lock-stale", text, _command("rm", stale))


def _names_of_open_locks() -> Iterator[str]:
    """Read what processes have open; torch keeps the lock open that it holds (torch/utils/file_baton.py)."""
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # not ours, or it ended
            path = os.readlink(link)
            if path.endswith("/lock"):
                yield _name(path)


def _name(lock: str) -> str:
    """Return the op's part of a lock's path: a container may have its home elsewhere."""
    return "/".join(lock.rsplit("/", 2)[-2:])


def _orphans(builds: Iterable[str]) -> Iterator[Finding]:
    gone = {}
    for build in builds:
        torch = included_torch(_text(os.path.join(build, "build.ninja")))
        if torch is not None and not os.path.isdir(torch):
            gone[build] = torch
    if gone:
        text = (
            f"compiled by JIT with a torch that is gone ({_listed(sorted(set(gone.values())))}): {_listed(list(gone))}"
        )
        yield _finding("jit-cache-stale", text, _command("rm -r", list(gone)))


def included_torch(build_ninja: str) -> str | None:
    """Return the torch whose headers a JIT build includes."""
    found = _TORCH_INCLUDED.search(build_ninja)
    return found.group(1) if found else None


def _on_network(folder: str, kind: str, variable: str, mounts: str) -> Iterator[Finding]:
    if os.path.isdir(folder) and is_on_network(folder, mounts):
        text = f"{folder} is on a network file system: hosts that share it disturb each other's JIT compiling"
        yield _finding(kind, text, f"set {variable} to a folder on a local disk in the environment of jobs")


def _several_runtimes(library_path: str, platlib: str) -> Iterator[Finding]:
    named = [folder for folder in library_path.split(os.pathsep) if folder]
    own = [os.path.join(platlib, "torch", "lib"), *glob.glob(os.path.join(glob.escape(platlib), "nvidia", "*", "lib"))]
    found = runtimes([*named, *own])
    if len(found) > 1 and runtimes(named):
        text = f"LD_LIBRARY_PATH may give programs another libcudart than torch's: {_listed(found)}"
        yield _finding("several-cudart", text, "take the folders of CUDA out of LD_LIBRARY_PATH")


def runtimes(folders: Iterable[str]) -> list[str]:
    """Return the CUDA runtimes in these folders, the first of each content."""
    found: dict[bytes, str] = {}
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "libcudart*.so*"))):
            with contextlib.suppress(OSError), open(path, "rb") as stream:
                found.setdefault(hashlib.sha256(stream.read()).digest(), path)
    return list(found.values())


def _finding(kind: str, text: str, hint: str) -> Finding:
    return {"kind": kind, "text": text, "hint": hint}


def _listed(items: list[str]) -> str:
    more = [f"and {len(items) - _MOST_TOLD} more"] if len(items) > _MOST_TOLD else []
    return ", ".join(items[:_MOST_TOLD] + more)


def _command(words: str, paths: list[str]) -> str:
    return " ".join([words, *map(shlex.quote, paths)])


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""
