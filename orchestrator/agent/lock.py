"""One deployment at a time on this host: who may go on, who waits, and when a silent controller loses its hold."""

from __future__ import annotations

import os
import signal
import threading
import time

from .errors import AgentError
from .lock_file import LockFile, lock_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .lock_file import Owner
    from .request import Request

_POLL_S = 0.1


class Limits:
    """How long controllers are waited for, in seconds.

    A controller speaks every 10 s: after `silent_after_s` something is wrong with it, after `lease_s` without a word
    its agent ends. `ending_s` is for programs of an agent that ended: pip is let finish. Of two controllers that race
    the older one waits for `older_s`, the younger one only for `younger_s` (wait-die): so that one wins everywhere.
    """

    def __init__(
        self,
        *,
        lease_s: float = 60.0,
        silent_after_s: float = 12.0,
        ending_s: float = 150.0,
        older_s: float = 5.0,
        younger_s: float = 1.0,
    ) -> None:
        self.lease_s = lease_s
        self.silent_after_s = silent_after_s
        self.silent_s = lease_s + 10.0
        self.ending_s = ending_s
        self.older_s = older_s
        self.younger_s = younger_s

    def patience_with(self, owner: Owner | None, deployment: str) -> float:
        """Return how long `deployment` waits for an owner; None is one that has not signed yet."""
        if owner is None:
            return self.older_s
        if owner.is_ending or not owner.is_alive:
            return self.ending_s
        if owner.deployment == deployment or owner.silence_s >= self.silent_after_s:
            return self.silent_s
        return self.older_s if deployment < owner.deployment else self.younger_s


def hold(request: Request) -> dict[str, Any]:
    """Take this host's lock, and keep it until told to release it.

    Raises AgentError (locked) when somebody else keeps it, (host) when it cannot be taken or this was cancelled.
    """
    cache = request.cache
    limits = Limits(**(request.optional("limits", dict) or {}))
    controller = Controller(request, limits.lease_s)
    lock = LockFile(lock_path(cache.folder), _signature(request))
    try:
        _take(lock, controller, request, limits)
        if not controller.has_released:
            cache.lock = lock
            cache.sweep()
            request.event("held", note=lock.note)
        while not controller.has_released:
            if controller.listen(limits.lease_s):
                lock.touch()
    finally:
        if not lock.is_ending:  # else the server releases it, when all that runs under it has ended
            if cache.lock is lock:
                cache.lock = None
            lock.release()
    return {}


class Controller:
    """The one that this agent serves, as far as the lock goes: it speaks, or the agent ends."""

    def __init__(self, request: Request, lease_s: float) -> None:
        self.has_released = False
        self._messages = request.messages
        self._lease_s = lease_s
        self._heard_at = time.monotonic()
        self._changed = threading.Event()
        self._messages.on_change = self._changed.set
        self._changed.set()  # something may have been told before

    def listen(self, limit_s: float) -> bool:
        """Wait for a word and return whether there was one.

        After `lease_s` of silence the agent ends, exactly as if its controller had hung up: a controller behind a
        black hole must not keep hosts for hours. Raises AgentError (host) when the request is given up.
        """
        self._changed.wait(max(min(limit_s, self._heard_at + self._lease_s - time.monotonic()), 0.0))
        self._changed.clear()
        if self._messages.is_closed:
            raise AgentError("host", "hold was cancelled")
        has_spoken = False
        while (told := self._messages.take()) is not None:
            has_spoken = True
            self.has_released |= told[0].get("do") == "release"
        now = time.monotonic()
        if has_spoken:
            self._heard_at = now
        elif now - self._heard_at >= self._lease_s:
            self._heard_at = now  # the server closes the messages soon
            signal.pthread_kill(_main_thread(), signal.SIGHUP)
        return has_spoken


def _take(lock: LockFile, controller: Controller, request: Request, limits: Limits) -> None:
    """Wait for the lock, or for the controller to want it no more. Raises AgentError (locked)."""
    met: str | None = None
    since = time.monotonic()
    while not controller.has_released and not lock.take():
        owner = lock.read_owner()
        if owner is not None and owner.name != met:
            met, since = owner.name, time.monotonic()
            request.event("waiting", text=_reason(owner))
        if time.monotonic() - since >= limits.patience_with(owner, lock.deployment):
            raise _refusal(owner)
        controller.listen(_POLL_S)


def _reason(owner: Owner) -> str:
    """Return what is said of an owner: the same on every host that it has."""
    return f"{owner.name} has the lock"


def _refusal(owner: Owner | None) -> AgentError:
    if owner is None:
        return AgentError("locked", "another program has the lock")
    if owner.is_alive:
        hint = f"it began {owner.age} ago: wait for its end (dsdeploy status shows the hosts), or look at that process"
    else:
        hint = f"it began {owner.age} ago and is dead, but a program that it started still runs on the host"
    return AgentError("locked", _reason(owner), hint)


def _signature(request: Request) -> dict[str, Any]:
    return {
        "deployment": request.value("deployment", str),
        "author": request.value("author", str),
        "pid": request.value("pid", int),
        "agent_pid": os.getpid(),
        "since": int(time.time()),
        "is_ending": False,
    }


def _main_thread() -> int:
    ident = threading.main_thread().ident
    assert ident is not None  # it has started
    return ident
