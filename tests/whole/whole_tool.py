"""Runs dsdeploy as a person does: as a process of its own, from folders of its own, against real hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_hosts import ClusterUnderTest, HostUnderTest

ROOT = Path(__file__).parent.parent.parent
DSDEPLOY = Path(sys.executable).parent / "dsdeploy"
RECIPE = ("-r", "cpu-training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one command said."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """Host → failure, of a document that tells them."""
        return {failure["host"]: failure for failure in self.document["failures"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A user's account on the controller."""

    folder: Path

    @property
    def data(self) -> Path:
        """Where this user's wheels are kept."""
        return self.folder / "data" / "dsdeploy"

    @property
    def environment(self) -> dict[str, str]:
        """An environment whose files lie in the account's own folder; pip's downloads stay shared."""
        pip = [sys.executable, "-m", "pip", "cache", "dir"]
        pip_cache = subprocess.run(pip, capture_output=True, text=True, check=True).stdout.strip()
        own = {f"XDG_{kind.upper()}_HOME": str(self.folder / kind) for kind in ("cache", "data", "state")}
        return os.environ | own | {"PIP_CACHE_DIR": pip_cache}

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start dsdeploy in a session of its own, so that a signal reaches it alone."""
        return subprocess.Popen(
            [str(DSDEPLOY), *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT, env=self.environment, start_new_session=True,
        )  # fmt: skip

    def run(self, *words: object, timeout_s: float = 900) -> Answer:
        """Run dsdeploy to its end. A traceback is a failure of the test, whatever was expected."""
        with self.start(*words) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            finally:
                process.kill()
        assert "Traceback" not in stderr, stderr
        return Answer(exit_code=process.returncode, stdout=stdout, stderr=stderr)

    def wheels(self) -> list[Path]:
        """Return the files of the wheels in the store."""
        return sorted(self.data.glob("wheels-v1/*/*/*.whl"))


def reach(cluster: ClusterUnderTest) -> tuple[str, ...]:
    """Return the words that lead a command to a cluster's hosts."""
    return ("--hostfile", str(cluster.hostfile), "--ssh-config", str(cluster.ssh_config))


def ask(cluster: ClusterUnderTest, host: str, command: str) -> str:
    """Return what a command says on a host; it must succeed."""
    done = cluster.ssh(host, command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cache_of(host: HostUnderTest) -> str:
    """Return the folder that the agent owns on a host."""
    return f"{host.home}/.cache/dsdeploy"


def snapshot(cluster: ClusterUnderTest, host: HostUnderTest) -> str:
    """Return every file of a host's home and virtual environment with its size, inode, mode and time of change."""
    environment = Path(host.python).parent.parent
    listing = f"find {host.home} {environment} -printf '%p %s %i %m %C@\\n' | sort"
    return ask(cluster, host.name, listing)
