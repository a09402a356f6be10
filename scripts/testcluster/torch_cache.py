"""Keeps torch installed once, in a folder that all hosts of all clusters share."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.interpreter import Interpreter
from testcluster.layout import lock

DEFAULT_TORCH = "torch==2.13.0"
Say = Callable[[str], None]


def make_folder_name(requirement: str, interpreter: Interpreter) -> str:
    """Return `torch-2.13.0-cp311` for `torch==2.13.0`, and a plain name for any other requirement."""
    plain = re.sub(r"[^A-Za-z0-9.+]+", "-", requirement).strip("-")
    return f"{plain}-{interpreter.tag}"


def find_torch(cache: Path, requirement: str, interpreter: Interpreter, *, template: Path, say: Say) -> Path:
    """Return the folder with torch in it; it is installed on the first call, by the template's pip.

    The folder appears under its name only when it is whole. Raises ClusterError when pip fails.
    """
    folder = cache / make_folder_name(requirement, interpreter)
    if folder.exists():
        return folder
    with lock(cache):
        if not folder.exists():
            say(f"installing {requirement} for {interpreter.tag}, once for all clusters (the first time is long)")
            draft = Path(tempfile.mkdtemp(dir=cache, prefix=".torch-"))
            try:
                _install(draft / "site", requirement, template)
                (draft / "site").replace(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return folder


def _install(target: Path, requirement: str, template: Path) -> None:
    command = [str(template / "bin/python"), "-m", "pip", "install", "--target", str(target), requirement]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise ClusterError(
            f"pip could not install {requirement} (exit {done.returncode})",
            hint="another one: --torch SPEC or DSDEPLOY_TORCH=SPEC; hosts without torch: --torch none",
        )
