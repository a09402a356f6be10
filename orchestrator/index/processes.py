"""Runs pip and git: line by line while they work, all lines at the end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import TransferError


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended, and all that it printed, both streams as they came."""

    returncode: int
    lines: tuple[str, ...]


def run(
    argv: Sequence[str | Path], *, environ: Mapping[str, str], on_line: Callable[[str], None], cwd: Path | None = None
) -> Finished:
    """Run a program to its end with exactly this environment; its standard input is empty.

    It is killed when `on_line`, or an interrupt, raises. Raises TransferError when there is no such program.
    """
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        raise TransferError(f"{argv[0]} is not installed here", hint=f"install {argv[0]} on the controller") from error
    with process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                on_line(lines[-1])
        except BaseException:
            process.kill()
            raise
    return Finished(returncode=process.returncode, lines=tuple(lines))
