"""Reads the user's SSH configuration as OpenSSH would, `Include` lines too, which paramiko leaves out."""

from __future__ import annotations

import glob
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from paramiko import SSHConfig
from paramiko.config import SSHConfigDict
from paramiko.ssh_exception import ConfigParseError

from orchestrator.errors import UsageError

_KEYWORD = re.compile(r"\s*(include|host|match)\b\s*=?\s*(.*)", re.IGNORECASE)
_PLAIN_HOST = re.compile(r"""\s*host\b\s*=?\s*([^*?!\[\]"']*)""", re.IGNORECASE)
_DEEPEST = 16
"""OpenSSH's own limit for files that include files (ssh_config(5))."""


class BlockConfig(SSHConfig):
    """paramiko's, but a look-up takes as long for the thousandth of a thousand hosts with a block each as for one."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[str] = []
        self._common: list[int] = []
        self._named: defaultdict[str, list[int]] = defaultdict(list)
        """Host → the blocks that are for it, and perhaps a few others, by name."""
        self._renames = False
        """Whether a host may get a second name, which other blocks are for."""

    def add(self, lines: Iterable[str]) -> None:
        """Take the lines of a file. Raises ConfigParseError or ValueError when they make no sense."""
        blocks = [["Host *"]]
        for line in lines:
            if (keyword := _KEYWORD.match(line)) and keyword[1].lower() != "include":
                blocks.append([])
            blocks[-1].append(line)
        for block in blocks:
            self._add_block(block)

    def lookup(self, hostname: str) -> SSHConfigDict:
        """Return the options of one host, each as the first block that is for it says."""
        some = range(len(self._blocks)) if self._renames else sorted({*self._common, *self._named.get(hostname, ())})
        return SSHConfig.from_text("\n".join(self._blocks[number] for number in some)).lookup(hostname)

    def _add_block(self, lines: list[str]) -> None:
        text = "\n".join(lines)
        SSHConfig.from_text(text)  # its faults are told now
        self._renames |= "canonicalizehostname" in text.lower()
        names = _PLAIN_HOST.fullmatch(lines[0])
        for numbers in [self._common] if names is None else [self._named[name] for name in names[1].split()]:
            numbers.append(len(self._blocks))
        self._blocks.append(text)


def load_ssh_config(file: Path | None = None) -> BlockConfig:
    """Return the configuration in `file`, or in the user's and then the system's own.

    Raises UsageError when it cannot be read.
    """
    user, system = Path("~/.ssh").expanduser(), Path("/etc/ssh")
    sources = [(user / "config", user), (system / "ssh_config", system)] if file is None else [(file, user)]
    config = BlockConfig()
    for path, folder in sources:
        if path.exists() or file is not None:
            _parse(config, path, folder)
    return config


def _parse(config: BlockConfig, path: Path, folder: Path) -> None:
    try:
        config.add(_lines(path, folder, _DEEPEST))
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
