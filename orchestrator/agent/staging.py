"""Proves that a change will go through, and changes nothing."""

from __future__ import annotations

import os

from .busy import refuse_busy
from .change import Change
from .concluding import require_lock
from .errors import AgentError
from .facts import free_bytes
from .interpreter import describe_interpreter
from .ways import way_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request

    Interpreter = dict[str, Any]


def stage(request: Request) -> dict[str, Any]:
    """Return which distributions would change.

    Raises AgentError: locked without this host's lock, install with the first thing that stands in the way. That the
    bundle is complete was resolved by the controller against what is installed here; what was inconsistent here before
    is not this deployment's affair.
    """
    require_lock(request, request.value("deployment", str))
    interpreter = describe_interpreter(request.value("python", str), request.children)
    refuse_interpreter(interpreter)
    _refuse_lost_memory(request)
    change = Change(request.cache, interpreter["prefix"])
    change.refuse_pending()
    _refuse_news(change, request.optional("committed", str))
    if not request.optional("even_if_busy", bool):
        refuse_busy(interpreter["platlib"])
    way = way_of(request, interpreter)
    manifest = way.survey()
    _refuse_full_disk(interpreter["platlib"], way.need_bytes)
    if manifest and os.stat(request.cache.folder).st_dev != os.stat(interpreter["platlib"]).st_dev:
        _refuse_full_disk(request.cache.folder, sum(file.get("size", 0) for file in manifest["files"]))
    return {"changes": way.rehearse()}


def _refuse_lost_memory(request: Request) -> None:
    if request.cache.note is not None:
        message = f"what is installed could not be kept, so a change could not be undone: {request.cache.note}"
        raise AgentError("install", message, "let XDG_CACHE_HOME name a folder of yours there")


def _refuse_news(change: Change, committed: str | None) -> None:
    """Raise AgentError (install) unless the deployment that was committed last is the one that was planned upon."""
    found = change.ledger.committed
    if found != committed:
        message = f"deployment {found} was committed here since the plan was made"
        raise AgentError("install", message, "run again: a new plan is made")


def refuse_interpreter(interpreter: Interpreter) -> None:
    """Raise AgentError (install) when nothing may be installed into this interpreter."""
    python, platlib = interpreter["executable"], interpreter["platlib"]
    if interpreter["is_externally_managed"]:
        hint = f"make one: {python} -m venv ~/venv, then name ~/venv/bin/python with python= in the hostfile"
        message = f"{python} belongs to the operating system (PEP 668): packages go into a virtual environment instead"
        raise AgentError("install", message, hint)
    if not interpreter["is_writable"]:
        raise AgentError("install", f"{platlib} is not writable", "name an interpreter of yours with python=")
    deepspeed = interpreter["deepspeed"]
    if deepspeed and deepspeed["is_editable"]:
        message = f"DeepSpeed {deepspeed['version']} is installed there in editable mode, from {deepspeed['location']}"
        raise AgentError("install", message, f"if you do not work on it any more: {python} -m pip uninstall deepspeed")


def _refuse_full_disk(folder: str, need_bytes: int) -> None:
    free = free_bytes(folder)
    if free < need_bytes:
        message = f"{folder} has {free:,} bytes free, this change needs {need_bytes:,}"
        raise AgentError("install", message, "free some space there and run again")
