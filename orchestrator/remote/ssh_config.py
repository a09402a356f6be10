"""Reads the user's SSH configuration as OpenSSH would, `Include` lines too, which paramiko leaves out."""

from __future__ import annotations

import glob
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from paramiko import SSHConfig
from paramiko.ssh_exception import ConfigParseError

from orchestrator.errors import UsageError

_KEYWORD = re.compile(r"\s*(include|host|match)\b\s*=?\s*(.*)", re.IGNORECASE)
_DEEPEST = 16
"""OpenSSH's own limit for files that include files (ssh_config(5))."""


def load_ssh_config(file: Path | None = None) -> SSHConfig:
    """Return the configuration in `file`, or in the user's and then the system's own.

    Raises UsageError when it cannot be read.
    """
    user, system = Path("~/.ssh").expanduser(), Path("/etc/ssh")
    sources = [(user / "config", user), (system / "ssh_config", system)] if file is None else [(file, user)]
    config = SSHConfig()
    for path, folder in sources:
        if path.exists() or file is not None:
            _parse(config, path, folder)
    return config


def _parse(config: SSHConfig, path: Path, folder: Path) -> None:
    try:
        config.parse(io.StringIO("\n".join(_lines(path, folder, _DEEPEST))))
    except OSError as error:
        raise UsageError(f"SSH configuration {path}: {error.strerror or error}") from error
    except (ConfigParseError, ValueError) as error:
        raise UsageError(f"SSH configuration {path}: {error}") from error


def _lines(path: Path, folder: Path, levels_left: int) -> Iterator[str]:
    """Yield the file's lines, each Include replaced by its files, after which the block around it goes on."""
    if levels_left == 0:
        raise ValueError("files include each other without end")
    block = "Host *"
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        keyword = _KEYWORD.match(line)
        if keyword is None:
            yield line
        elif keyword[1].lower() != "include":
            block = line
            yield line
        else:
            for pattern in shlex.split(keyword[2]):
                for included in sorted(glob.glob(str(folder / Path(pattern).expanduser()))):  # noqa: PTH207 - the pattern is absolute
                    yield from _lines(Path(included), folder, levels_left - 1)
            yield block
