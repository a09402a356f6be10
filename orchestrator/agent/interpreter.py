"""Asks the target interpreter what it is; all that runs inside it is started here."""

from __future__ import annotations

import json
import os
import shutil

from .errors import AgentError
from .processes import how_it_ended, last_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .processes import Children

MARK = "\x1e"
"""Starts the lines that our scripts say; everything else is noise of what they import."""
_TIMEOUT_S = 60.0
_OLD = "dsdeploy: old Python"
_STARTER = """import sys
if sys.version_info < (3, 8):
    sys.exit("dsdeploy: old Python %s" % sys.version.split()[0])
root, module = sys.argv[1:3]
sys.path = [root] + [folder for folder in sys.path if folder]
script = __import__(module, fromlist=["main"])
sys.path.remove(root)
script.main(sys.argv[3:])
"""
"""Readable by any Python; the folder that `-c` puts on the path is nobody's installation."""


def describe_interpreter(requested: str, children: Children) -> dict[str, Any]:
    """Return the document of the model's `Interpreter`.

    Raises AgentError (host) when `requested` (a path, or a name on PATH) is no Python that we can use.
    """
    program = find_interpreter(requested)
    lines: list[str] = []
    argv = script_argv(program, "interpreter_script")
    ended = children.run(argv, on_line=lines.append, timeout_s=_TIMEOUT_S)
    if ended.is_timed_out:
        raise AgentError("host", f"{program} did not answer within {_TIMEOUT_S:g} s")
    old = next((line for line in lines if line.startswith(_OLD)), None)
    if old is not None:
        raise AgentError("host", f"{program} is Python {old[len(_OLD) :].strip()}; 3.8 or newer is needed")
    answer = next((line for line in reversed(lines) if line.startswith(MARK)), None)
    if ended.returncode or answer is None:
        how = how_it_ended(ended.returncode) if ended.returncode else "does not answer like a Python"
        raise AgentError("host", f"{program} {how}: {last_line(lines)}")
    document: dict[str, Any] = json.loads(answer[len(MARK) :])
    return dict(document, requested=requested, uv=_uv(program))


def find_interpreter(requested: str) -> str:
    """Return the absolute path of a program that was named by path or by name. Raises AgentError (host)."""
    expanded = os.path.expanduser(requested)
    hint = "name another one: `python=` in the hostfile, or --python"
    if os.sep not in expanded:
        program = shutil.which(expanded)
        if program is None:
            raise AgentError("host", f"there is no {requested!r} on PATH ({os.environ.get('PATH')})", hint)
        return program
    if not os.path.isabs(expanded):
        raise AgentError("host", f"{requested!r} is neither an absolute path nor a name on PATH", hint)
    if not os.path.exists(expanded):
        raise AgentError("host", f"there is no {requested}", hint)
    if os.path.isdir(expanded) or not os.access(expanded, os.X_OK):
        raise AgentError("host", f"{requested} cannot be executed", hint)
    return expanded


def script_argv(program: str, script: str, *arguments: str) -> list[str]:
    """Return the command that runs one of this package's modules inside another interpreter."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [program, "-c", _STARTER, root, f"{__package__}.{script}", *arguments]


def _uv(program: str) -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=os.path.dirname(program))
