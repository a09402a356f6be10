"""Changes what is installed in the target interpreter: keeps what is there, puts the new one in, reads it back."""

from __future__ import annotations

import time

from .change import Change
from .concluding import require_lock
from .errors import AgentError
from .interpreter import describe_interpreter
from .staging import refuse_interpreter
from .ways import way_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request


def activate(request: Request) -> dict[str, Any]:
    """Bring DeepSpeed to what was ordered, and return its version and its RECORD's digest; None where it is gone.

    Raises AgentError: locked without this host's lock, install when it fails, or another version is found afterwards.
    Once it has begun the ledger says so, and nothing but undoing, committing or leaving it ends that.
    """
    require_lock(request, request.value("deployment", str))
    python = request.value("python", str)
    interpreter = describe_interpreter(python, request.children)
    refuse_interpreter(interpreter)
    change = Change(request.cache, interpreter["prefix"])
    change.refuse_pending()
    way = way_of(request, interpreter)
    change.begin(_pending(request, interpreter), way.survey())
    way.put_in(change)
    installed = describe_interpreter(python, request.children)["deepspeed"]
    _refuse_other_version(request, installed)
    way.read_back()
    record_sha256 = installed and installed["record_sha256"]
    change.activated(record_sha256)
    return {"version": installed and installed["version"], "record_sha256": record_sha256}


def _pending(request: Request, interpreter: dict[str, Any]) -> dict[str, Any]:
    before = interpreter["deepspeed"]
    return {
        "deployment": request.value("deployment", str),
        "prefix": interpreter["prefix"],
        "author": request.value("author", str),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "before": before and before["version"],
        "after": request.optional("version", str),
        "stamp": request.optional("stamp", dict),
    }


def _refuse_other_version(request: Request, installed: dict[str, Any] | None) -> None:
    expected, found = request.optional("version", str), installed and installed["version"]
    if found != expected:
        where = f"{found} in {installed['location']}" if installed else "none"
        message = f"{request.value('python', str)} should have DeepSpeed {expected or 'no more'} now, but has {where}"
        raise AgentError("install", message)
