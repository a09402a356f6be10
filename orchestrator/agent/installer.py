"""Runs the pip that the controller sent along, by the target interpreter, deaf to that host's own configuration."""

from __future__ import annotations

import os
import shutil
import zipfile

from .errors import AgentError
from .processes import how_it_ended, last_line
from .transfer import sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .cache import Cache
    from .request import Request

_TIMEOUT_S = 600.0
_OPTIONS = (
    "--isolated",
    "--no-input",
    "--no-color",
    "--disable-pip-version-check",
    "--no-cache-dir",
    "--quiet",
)
_INSTALL_OPTIONS = (
    "--no-index",
    "--no-warn-script-location",
    "--root-user-action=ignore",
    "--progress-bar=off",
)


def pip_install(request: Request, python: str, arguments: Sequence[str], *, grace_s: float = 0.0) -> list[str]:
    """Run `pip install` and return its lines.

    `grace_s`: how long it may go on when the connection is lost. While it runs the host stays locked, whatever becomes
    of this agent. Raises AgentError (install) with its first error.
    """
    pip = os.path.join(_unpacked(request.cache, request.value("pip", dict)["path"]), "pip")
    lines: list[str] = []
    workspace = request.cache.make_workspace()
    try:
        ended = request.children.run(
            [python, pip, *_OPTIONS, "install", *_INSTALL_OPTIONS, *arguments],
            on_line=lines.append,
            cwd=workspace,
            environment=_environment(workspace),
            timeout_s=_TIMEOUT_S,
            grace_s=grace_s,
            keep_open=[request.cache.lock.descriptor] if request.cache.lock else [],
        )
    finally:
        request.cache.discard(workspace)
    if ended.is_timed_out:
        raise AgentError("install", f"pip did not end within {_TIMEOUT_S:g} s")
    if ended.returncode:
        raise AgentError("install", f"pip {how_it_ended(ended.returncode)}: {first_error(lines)}")
    return lines


def _environment(workspace: str) -> dict[str, str]:
    """Return an environment without pip's variables: `--isolated` spares only the options after the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return dict(kept, PIP_CONFIG_FILE=os.devnull, TMPDIR=workspace)


def _unpacked(cache: Cache, path: str) -> str:
    """Return the folder of a wheel's files: run from inside the wheel, pip is compiled anew each time (0.5 CPU s)."""
    wheel = cache.resolve(path)
    digest = sha256_of(wheel)
    if digest is None:
        raise AgentError("install", f"{wheel} is missing", "run again: it is sent anew")
    folder = os.path.join(cache.folder, "pip", digest)
    if not os.path.isdir(folder):
        part = f"{folder}.{os.urandom(8).hex()}"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part)
        try:
            os.rename(part, folder)
        except OSError:  # another session was faster
            shutil.rmtree(part)
    return folder


def first_error(lines: Sequence[str]) -> str:
    """Return pip's first ERROR line, which names the cause; the last line when there is none."""
    errors = (line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line)
    return next(errors, None) or last_line(lines)
