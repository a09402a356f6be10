"""Runs programs for the controller, in folders that end with the session."""

from __future__ import annotations

import os

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request


def ping(_request: Request) -> dict[str, Any]:
    """Say that this end is alive."""
    return {}


def run(request: Request) -> dict[str, Any]:
    """Run `argv`, telling each line; a return code that is not 0 is a result, not an error."""
    argv = request.value("argv", list)
    timeout_s = request.seconds("timeout_s")
    cwd = request.optional("cwd", str)
    ended = request.children.run(
        argv,
        on_line=lambda text: request.event("line", text=text),
        cwd=None if cwd is None else request.cache.resolve(cwd),
        environment=changed_environment(request.optional("env", dict) or {}),
        timeout_s=timeout_s,
    )
    if ended.is_timed_out:
        raise AgentError("host", f"{argv[0]} was ended: it ran longer than {timeout_s:g} s")
    return {
        "returncode": ended.returncode,
        "elapsed_s": ended.elapsed_s,
        "peak_memory_bytes": ended.peak_memory_bytes,
    }


def workspace(request: Request) -> dict[str, Any]:
    """Make a private folder that ends with this session."""
    return {"path": request.cache.make_workspace()}


def discard(request: Request) -> dict[str, Any]:
    """Remove a workspace now."""
    request.cache.discard(request.value("path", str))
    return {}


def changed_environment(changes: dict[str, str]) -> dict[str, str]:
    """Return the agent's own environment with the changes; an empty value removes the variable."""
    merged = dict(os.environ, **changes)
    return {name: value for name, value in merged.items() if value or name not in changes}
