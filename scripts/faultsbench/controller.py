"""dsdeploy as a person runs it: from folders of the bench's own, its words kept in files."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcluster.state import Cluster

from faultsbench.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]
_DSDEPLOY = Path(sys.executable).with_name("dsdeploy")
_LIMIT_S = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any] | None:
        """What it printed; None when it came to nothing."""
        try:
            document: dict[str, Any] = json.loads(self.stdout)
        except ValueError:
            return None
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A command that runs."""

    process: subprocess.Popen[bytes]
    words: str
    output: Path
    """Its document; beside it, with another ending, what it said."""

    def answer(self) -> Answer:
        """Wait for its end. Raises BenchError when that does not come."""
        try:
            exit_code = self.process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.words} did not end within {_LIMIT_S:g} s") from None
        finally:
            self.process.kill()
            self.process.wait()
        stdout, stderr = (path.read_text(encoding="utf-8") for path in (self.output, self.output.with_suffix(".log")))
        return Answer(exit_code=exit_code, stdout=stdout, stderr=stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A user's account on the controller; `folder` holds what this user has."""

    folder: Path

    def start(self, output: Path, *words: object) -> Started:
        """Start a command with --json, in a session of its own, as a terminal would."""
        output.parent.mkdir(parents=True, exist_ok=True)
        own = {f"XDG_{kind.upper()}_HOME": str(self.folder / kind) for kind in ("cache", "data", "state")}
        argv = [str(_DSDEPLOY), *map(str, words), "--json"]
        with output.open("wb") as stdout, output.with_suffix(".log").open("wb") as stderr:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                cwd=ROOT, env=os.environ | own | {"PIP_CACHE_DIR": _pip_cache()}, start_new_session=True,
            )  # fmt: skip
        return Started(process=process, words=" ".join(argv[1:]), output=output)

    def run(self, output: Path, *words: object) -> Answer:
        """Run a command to its end."""
        return self.start(output, *words).answer()


def reach_hosts(cluster: Cluster) -> tuple[str, ...]:
    """Return the words that lead a command to the hosts."""
    return ("-H", str(cluster.folder / "hostfile"), "--ssh-config", str(cluster.folder / "ssh_config"))


@functools.cache
def _pip_cache() -> str:
    """Return where this user's pip keeps its downloads: they are shared."""
    command = [sys.executable, "-m", "pip", "cache", "dir"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
