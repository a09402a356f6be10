"""Finds the processes that use an installed DeepSpeed: replacing its libraries under a running job breaks it."""

from __future__ import annotations

import contextlib
import os

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_TOLD = 5
_MOST_LETTERS = 80


def refuse_busy(platlib: str) -> None:
    """Raise AgentError (install) when processes have libraries of the DeepSpeed in this site-packages open."""
    found = busy_processes(platlib)
    if not found:
        return
    told = [f"{process['pid']} {process['command']} ({process['user']})" for process in found[:_MOST_TOLD]]
    more = [f"and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    hint = "wait for them to end; with --even-if-busy they go on with what they have loaded, and may fail at the rest"
    raise AgentError("install", f"{platlib}/deepspeed is in use by {', '.join(told + more)}", hint)


def busy_processes(platlib: str) -> list[dict[str, Any]]:
    """Return pid, command and user of each process that has such a library mapped; a deleted one does not count.

    Processes whose maps this user may not read are not seen.
    """
    folder = os.fsencode(os.path.join(os.path.realpath(platlib), "deepspeed", ""))
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):  # not ours, or it ended
            with open(f"/proc/{pid}/maps", "rb", buffering=0) as stream:
                maps = stream.read()
            if folder in maps and _has_library(maps, folder):
                found.append({"pid": pid, "command": _command(pid), "user": _user(pid)})
    return found


def _has_library(maps: bytes, folder: bytes) -> bool:
    """Return whether a line maps a file of the folder whose name ends as libraries' do: ` (deleted)` does not."""
    return any(folder in line and line.endswith(b".so") for line in maps.splitlines())


def _command(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as stream:
        return stream.read(_MOST_LETTERS).replace(b"\0", b" ").decode("utf-8", "replace").strip()


def _user(pid: int) -> str:
    import pwd  # noqa: PLC0415 - only a busy host needs it

    number = os.stat(f"/proc/{pid}").st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
