"""Chooses the Python from which the hosts' virtual environments are made."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from testcluster.errors import ClusterError

_LEAST_VERSION = (3, 9)
_SYSTEM = "/usr/bin/python3"
_QUESTION = """
import importlib.util, json, sys
find = importlib.util.find_spec
print(json.dumps({
    "executable": getattr(sys, "_base_executable", sys.executable),
    "version": list(sys.version_info[:2]),
    "can_make_environments": find("venv") is not None and find("ensurepip") is not None,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python of this machine."""

    executable: str
    version: tuple[int, int]
    can_make_environments: bool
    """Whether it has venv and ensurepip; Debian ships them apart."""

    @property
    def tag(self) -> str:
        """Its name in wheel tags, as `cp311`."""
        return f"cp{self.version[0]}{self.version[1]}"

    @property
    def site_packages(self) -> Path:
        """Where its virtual environments keep packages, relative to the environment."""
        return Path(f"lib/python{self.version[0]}.{self.version[1]}/site-packages")

    def find_fault(self) -> str | None:
        """Say why no host can use it; None when all is well."""
        if self.version < _LEAST_VERSION:
            return f"{self.executable} is Python {self.version[0]}.{self.version[1]}, older than 3.9"
        if not self.can_make_environments:
            return f"{self.executable} lacks venv or ensurepip"
        return None


def inspect_interpreter(executable: str) -> Interpreter:
    """Ask a Python what it is. Raises ClusterError when it cannot be run."""
    command = [executable, "-I", "-c", _QUESTION]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ClusterError(f"not a usable Python: {executable}: {error}") from error
    major, minor = answer["version"]
    return Interpreter(
        executable=answer["executable"],
        version=(major, minor),
        can_make_environments=answer["can_make_environments"],
    )


def choose_interpreter(asked: str | None) -> Interpreter:
    """Return the asked Python, else the system's where it can make environments, else the one that runs this."""
    if asked is not None:
        interpreter = inspect_interpreter(asked)
        fault = interpreter.find_fault()
        if fault is None:
            return interpreter
        raise ClusterError(fault, hint="choose another one with --python")
    faults = []
    for executable in (_SYSTEM, sys.executable):
        if Path(executable).exists():
            interpreter = inspect_interpreter(executable)
            fault = interpreter.find_fault()
            if fault is None:
                return interpreter
            faults.append(fault)
    raise ClusterError("; ".join(faults), hint="as root: apt-get install -y python3-venv")
