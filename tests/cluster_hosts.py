"""Drives `scripts/cluster` for tests: brings a cluster up, runs OpenSSH against it, takes it down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLUSTER = Path(__file__).parent.parent / "scripts" / "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUnderTest:
    """One host of a cluster that is up."""

    name: str
    python: str
    home: Path
    log: Path

    def count_accepted(self) -> int:
        """Return how many SSH connections its sshd has let in since it was made."""
        return self.log.read_text(encoding="utf-8").count("Accepted publickey")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterUnderTest:
    """A cluster that is up, and the commands that a test gives."""

    document: dict[str, Any]
    environment: dict[str, str]

    @property
    def hosts(self) -> list[HostUnderTest]:
        """The hosts in order."""
        return [
            HostUnderTest(name=host["name"], python=host["python"], home=Path(host["home"]), log=Path(host["log"]))
            for host in self.document["hosts"]
        ]

    @property
    def is_isolated(self) -> bool:
        """Whether the hosts have networks and file systems of their own."""
        return bool(self.document["network"] == "namespaces")

    @property
    def hostfile(self) -> Path:
        """DeepSpeed's hostfile."""
        return Path(self.document["hostfile"])

    @property
    def ssh_config(self) -> Path:
        """The ssh_config by which every host is reached from this machine."""
        return Path(self.document["ssh_config"])

    def ssh(self, host: str, command: str, *, connect_timeout_s: int = 20) -> subprocess.CompletedProcess[str]:
        """Run a command on a host with OpenSSH, whatever comes of it."""
        options = ["-F", str(self.ssh_config), "-o", "BatchMode=yes", "-o", f"ConnectTimeout={connect_timeout_s}"]
        return subprocess.run(
            ["ssh", *options, host, command], capture_output=True, text=True, check=False, timeout=120
        )

    def fault(self, host: str, fault: str) -> None:
        """Let a host suffer, or `restore` it."""
        done = run_cluster(["fault", "--name", self.document["name"], host, fault], self.environment)
        assert done.returncode == 0, done.stderr

    def down(self, *options: str) -> None:
        """End the cluster."""
        done = run_cluster(["down", "--name", self.document["name"], *options], self.environment)
        assert done.returncode == 0, done.stderr


def make_environment(state: Path) -> dict[str, str]:
    """Return an environment whose clusters lie in a folder of the test's own; torch's cache stays shared."""
    return os.environ | {"XDG_STATE_HOME": str(state)}


def run_cluster(
    arguments: list[str], environment: dict[str, str], *, timeout_s: float = 1800
) -> subprocess.CompletedProcess[str]:
    """Run `scripts/cluster`, whatever comes of it."""
    command = [sys.executable, str(CLUSTER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, env=environment)


def bring_up(arguments: list[str], environment: dict[str, str]) -> ClusterUnderTest:
    """Bring a cluster up. Raises RuntimeError with the reason."""
    done = run_cluster(["up", *arguments, "--json"], environment)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return ClusterUnderTest(document=json.loads(done.stdout), environment=environment)
