"""The agent's own folder on a host: where wheels wait, builds work, and stamps are kept."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading

from .errors import AgentError
from .processes import is_running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .lock_file import LockFile

_PREFIX = "cache:"


class Cache:
    """`folder` is private to this user; with a `note` it is a temporary one, and the note says why."""

    def __init__(self, folder: str, note: str | None = None) -> None:
        self.folder = folder
        self.note = note
        self.lock: LockFile | None = None
        """The host's lock while this session has it."""
        self._workspaces: set[str] = set()
        self._lock = threading.Lock()

    def resolve(self, path: str) -> str:
        """Return the absolute path that `cache:x/y` or an absolute `path` names.

        Raises AgentError (usage) for anything else, and for paths that climb out of the cache.
        """
        if path.startswith(_PREFIX):
            inside = path[len(_PREFIX) :]
            if not inside or inside.startswith("/") or ".." in inside.split("/"):
                raise AgentError("usage", f"{path!r} is no path inside the cache")
            return os.path.join(self.folder, inside)
        if not os.path.isabs(path):
            raise AgentError("usage", f"{path!r} is neither absolute nor inside {_PREFIX}")
        return path

    def make_workspace(self) -> str:
        """Return a new private folder that ends with this agent; its name says whose it is, for `sweep`."""
        owner = f"{os.uname().nodename}.{os.getpid()}"
        folder = os.path.join(self.folder, "work", f"{owner}.{os.urandom(8).hex()}")
        os.makedirs(folder, mode=0o700)
        with self._lock:
            self._workspaces.add(folder)
        return folder

    def discard(self, folder: str) -> None:
        """Remove a workspace. Raises AgentError (usage) when this agent did not make it."""
        with self._lock:
            if folder not in self._workspaces:
                raise AgentError("usage", f"{folder} is no workspace of this session")
            self._workspaces.remove(folder)
        _remove(folder)

    def sweep(self) -> None:
        """Remove the workspaces of agents that were killed on this host before they could do it themselves."""
        work = os.path.join(self.folder, "work")
        for name in os.listdir(work) if os.path.isdir(work) else []:
            node, _, pid = name.rpartition(".")[0].rpartition(".")
            if node == os.uname().nodename and pid.isdigit() and not is_running(int(pid)):
                _remove(os.path.join(work, name))

    def wheels(self) -> list[str]:
        """Return the sha256 of each wheel that waits here."""
        try:
            with os.scandir(os.path.join(self.folder, "wheels")) as entries:
                return sorted(entry.name for entry in entries if _holds_a_wheel(entry.path))
        except FileNotFoundError:
            return []

    def filesystem_id(self) -> str | None:
        """Return a random word that is the same on every host that shares this folder; None when it cannot be kept."""
        path = os.path.join(self.folder, "filesystem-id")
        part = f"{path}.{os.urandom(8).hex()}"
        try:
            if not os.path.exists(path):
                with open(part, "x", encoding="ascii") as stream:
                    stream.write(os.urandom(16).hex())
                with contextlib.suppress(FileExistsError):
                    os.link(part, path)  # whole, and only the first one wins
                os.unlink(part)
            with open(path, encoding="ascii") as stream:
                return stream.read()
        except OSError:
            return None

    def close(self) -> None:
        """Remove every workspace, and the folder itself when it is temporary."""
        for folder in list(self._workspaces):
            self.discard(folder)
        if self.note is not None:
            _remove(self.folder)


def _remove(folder: str) -> None:
    importlib.import_module("shutil").rmtree(folder, ignore_errors=True)


def _holds_a_wheel(folder: str) -> bool:
    return os.path.isdir(folder) and any(name.endswith(".whl") for name in os.listdir(folder))
