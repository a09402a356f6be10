"""Controllers in processes of their own, which do something to a journal and may be killed at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def start(script: str, journal: Path, *words: object) -> subprocess.Popen[str]:
    """Start a Python script that finds the journal's path, then the words, in `sys.argv`."""
    command = [sys.executable, "-c", script, str(journal), *map(str, words)]
    search = {"PYTHONPATH": f"{_ROOT}:{_ROOT / 'tests'}"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **search})


def finish(controller: subprocess.Popen[str], *, code: int = 0) -> str:
    """Return what a controller has said by its end."""
    said, _ = controller.communicate()
    assert controller.returncode == code
    return said
