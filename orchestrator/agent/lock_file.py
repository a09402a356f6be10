"""The file of this host's lock: an flock, which the kernel frees with its last process, and a line that says whose."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time

from .errors import AgentError
from .processes import is_running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_BYTES = 1 << 16


def lock_path(folder: str) -> str:
    """Return the path of this host's lock in the cache `folder`, which other hosts may share."""
    key = hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:32]
    return os.path.join(folder, "locks", f"{key}.json")


class Owner:
    """Who has the lock, as the file says."""

    def __init__(self, signature: dict[str, Any], silence_s: float) -> None:
        self.deployment: str = signature["deployment"]
        self.name = "deployment {deployment} by {author} (process {pid} there)".format(**signature)
        """The same on every host that this deployment has."""
        self.agent_pid: int = signature["agent_pid"]
        self.is_ending: bool = signature["is_ending"]
        """Whether its agent has lost its controller, and waits only for what must finish."""
        self.age_s = max(int(time.time()) - signature["since"], 0)
        self.silence_s = silence_s
        """Since its controller said a word."""

    @property
    def is_alive(self) -> bool:
        """Whether its agent runs; programs that it started may outlive it."""
        return is_running(self.agent_pid)

    @property
    def age(self) -> str:
        """How long it has had the lock: `40 s`, `3 min`, `2 h`."""
        for unit, size_s in (("h", 3600), ("min", 60)):
            if self.age_s >= 2 * size_s:
                return f"{self.age_s // size_s} {unit}"
        return f"{self.age_s} s"


class LockFile:
    """One process's hold on the lock, or its wish for one; a program that inherits `descriptor` holds it too.

    The file itself stays: were it removed, two processes could lock two files of one name.
    """

    def __init__(self, path: str, signature: dict[str, Any]) -> None:
        """Open the file. Raises AgentError (host)."""
        self.deployment: str = signature["deployment"]
        self.is_ending = False
        self.note: str | None = None
        """Whose lock was taken over, when that one ended without releasing it."""
        self._signature = signature
        self._is_taken = False
        self._path = path
        self._guard = threading.Lock()
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # flock over NFS wants it writable
        except OSError as error:
            raise self._refusal(error) from error

    def take(self) -> bool:
        """Take the lock and sign it; return False when it is taken. Raises AgentError (host) where there are none."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._refusal(error) from error
        left = self.read_owner()
        if left is not None and left.deployment != self.deployment:
            self.note = f"took over the lock of {left.name}, which ended without releasing it"
        self._is_taken = True
        self._sign()
        return True

    def read_owner(self) -> Owner | None:
        """Return who signed; None when nobody did, or somebody is about to."""
        silence_s = time.time() - os.fstat(self.descriptor).st_mtime
        try:
            return Owner(json.loads(os.pread(self.descriptor, _MOST_BYTES, 0)), silence_s)
        except (ValueError, KeyError, TypeError):
            return None

    def touch(self) -> None:
        """Note that the controller is alive."""
        with self._guard, contextlib.suppress(OSError):
            now = time.time()  # not the file server's, which may have another opinion
            os.utime(self.descriptor, (now, now))

    def mark_ending(self) -> None:
        """Let others know that this agent has lost its controller, and waits only for what must finish."""
        self.is_ending = True
        self._signature["is_ending"] = True
        self._sign()

    def release(self) -> None:
        """Let go; what inherited the descriptor still holds the lock."""
        with self._guard:
            if self.descriptor < 0:
                return
            if self._is_taken:
                with contextlib.suppress(OSError):
                    os.ftruncate(self.descriptor, 0)
            os.close(self.descriptor)
            self.descriptor = -1

    def _sign(self) -> None:
        """Write whose it is; a full disk takes no signature, but must not keep a host from being put in order."""
        line = json.dumps(self._signature).encode()
        with self._guard, contextlib.suppress(OSError):
            os.pwrite(self.descriptor, line, 0)
            os.ftruncate(self.descriptor, len(line))

    def _refusal(self, error: OSError) -> AgentError:
        hint = "name a folder on a file system that knows flock(2) in XDG_CACHE_HOME there"
        return AgentError("host", f"{self._path} cannot be locked: {error.strerror}", hint)
