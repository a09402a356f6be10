"""What peers need: installed where that can be done, told as missing where not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One package, and the command that tells its version."""

    version: tuple[str, ...]
    apt: str | None = None
    """Debian's package."""
    pip: str | None = None
    """The package on the package index."""


TOOLS = {
    "ssh": Tool(version=("ssh", "-V"), apt="openssh-client"),
    "taktuk": Tool(version=("taktuk", "--version"), apt="taktuk"),
    "rsync": Tool(version=("rsync", "--version"), apt="rsync"),
    "pdcp": Tool(version=("pdcp", "-V"), apt="pdsh"),
    "clush": Tool(version=("clush", "--version"), pip="ClusterShell"),
    "parallel-ssh": Tool(version=("python", "-m", "pip", "show", "parallel-ssh"), pip="parallel-ssh"),
    "fabric": Tool(version=("fab", "--version"), pip="fabric"),
    "ansible": Tool(version=("ansible", "--version"), pip="ansible-core"),
}


def find_tools(folder: Path, wanted: Collection[str], say: Callable[[str], None]) -> dict[str, str]:
    """Return tool → what it says of its version, for those of the wanted ones that are there.

    What is missing is installed first: by pip into a virtual environment in `folder`, by apt when root.
    """
    missing = [TOOLS[name] for name in wanted if ask_version(folder, TOOLS[name]) is None]
    if missing:
        _install(folder, missing, say)
    found = {name: ask_version(folder, TOOLS[name]) for name in wanted}
    return {name: version for name, version in found.items() if version is not None}


def _install(folder: Path, tools: list[Tool], say: Callable[[str], None]) -> None:
    debian = [tool.apt for tool in tools if tool.apt]
    if debian and os.geteuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "install", "-y", "--no-install-recommends", *debian], say)
    packages = [tool.pip for tool in tools if tool.pip]
    python = folder / "bin" / "python"
    if packages and not python.exists():
        venv.create(folder, with_pip=True)
    for package in packages:  # one by one: one that cannot be had must not take the others along
        _run([str(python), "-m", "pip", "install", "--quiet", package], say)


def _run(argv: list[str], say: Callable[[str], None]) -> None:
    say(" ".join(argv))
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=sys.stderr, check=False)


def ask_version(folder: Path, tool: Tool) -> str | None:
    """Return the first line with a digit of what a tool says of its version; None when it does not run."""
    program, *arguments = tool.version
    path = str(folder / "bin" / program) if tool.pip else program
    try:
        done = subprocess.run(
            [path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (" ".join(line.split()).removeprefix("Version: ") for line in (done.stdout + done.stderr).splitlines())
    return next((line for line in lines if any(map(str.isdecimal, line))), program)
