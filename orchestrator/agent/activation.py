"""Puts the staged wheel into the target interpreter."""

from __future__ import annotations

from .errors import AgentError
from .installer import pip_install
from .interpreter import describe_interpreter
from .staging import bundled_files, name_and_version, refuse_interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request

_GRACE_S = 120.0
"""pip is let finish when the connection is lost meanwhile: a host has the old or the new one, never half of each."""
_TAIL_LINES = 20


def activate(request: Request) -> dict[str, Any]:
    """Install the wheel, even over its own version, and those dependencies that are not there yet, in one run of pip.

    Raises AgentError (install) when pip fails, or another version is found afterwards.
    """
    python = request.value("python", str)
    interpreter = describe_interpreter(python, request.children)
    refuse_interpreter(interpreter)
    wheel, dependencies = bundled_files(request)
    there = interpreter["distributions"].items()
    wanted = [wheel, *(path for path in dependencies if name_and_version(path) not in there)]
    program = interpreter["executable"]
    lines = pip_install(request, program, ["--no-deps", "--force-reinstall", *wanted], grace_s=_GRACE_S)
    installed = describe_interpreter(python, request.children)["deepspeed"]
    version = request.value("version", str)
    if installed is None or installed["version"] != version:
        found = "nothing" if installed is None else f"{installed['version']} in {installed['location']}"
        raise AgentError("install", f"{program} should have DeepSpeed {version} now, but has {found}")
    return {
        "version": installed["version"],
        "record_sha256": installed["record_sha256"],
        "location": installed["location"],
        "pip": lines[-_TAIL_LINES:],
    }
