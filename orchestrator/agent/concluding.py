"""Ends what was begun in an interpreter, from its ledger alone: offline, without pip, without that interpreter."""

from __future__ import annotations

from .change import Change
from .errors import AgentError
from .ledger import all_ledgers
from .status_script import leave_status_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .lock_file import LockFile
    from .request import Request


def verified(request: Request) -> dict[str, Any]:
    """Write down that every op of the activated deployment works."""
    deployment = request.value("deployment", str)
    require_lock(request, deployment)
    _change(request).verified(deployment)
    return {}


def commit(request: Request) -> dict[str, Any]:
    """Make what a verified deployment put in the one that is installed; nothing happens when it is already."""
    require_lock(request)
    _change(request).commit(request.value("deployment", str))
    leave_status_script(request.cache)
    return {}


def leave(request: Request) -> dict[str, Any]:
    """End a deployment with whatever it left; nothing happens when it has ended."""
    require_lock(request)
    _change(request).leave(request.value("deployment", str))
    return {}


def undo(request: Request) -> dict[str, Any]:
    """Put back what a deployment replaced, and return the model's HostLedger; one that has ended is left alone."""
    require_lock(request)
    change = _change(request)
    change.undo(request.value("deployment", str))
    return change.ledger.document()


def state(request: Request) -> list[dict[str, Any]]:
    """Return the model's HostLedger of every interpreter that was deployed into from this host."""
    return [ledger.document() for ledger in all_ledgers(request.cache)]


def require_lock(request: Request, deployment: str | None = None) -> LockFile:
    """Return the host's lock. Raises AgentError (locked) unless this session has it, for `deployment` when given.

    What another deployment has left may be ended by whoever has the lock: that is what recovery does.
    """
    lock = request.cache.lock
    if lock is None or deployment not in (None, lock.deployment):
        for_whom = "" if lock is None else f" for {deployment}, but for {lock.deployment}"
        raise AgentError("locked", f"{request.operation}: this session does not have the host's lock{for_whom}")
    return lock


def _change(request: Request) -> Change:
    return Change(request.cache, request.value("prefix", str))
