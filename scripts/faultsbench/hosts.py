"""The hosts as this machine sees them: their files and processes, looked at from outside, without dsdeploy."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcluster.control import tell_keeper
from testcluster.layout import load_running
from testcluster.processes import Process, find_descendants, identify, send_signal, wait_until_gone
from testcluster.state import Cluster, Host

from faultsbench.errors import BenchError

_STOP_TIMEOUT_S = 5.0
_READ_BOOTSTRAP = b"import sys; sys.version_info"
"""How the program begins that every agent's interpreter is started with (orchestrator/remote/opening.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a host has written down about its interpreter."""

    state: str | None = None
    """Of the deployment that has not ended; None when there is none."""
    deployment: str | None = None
    """Its id."""
    stamp_deployment: str | None = None
    stamp_wheel: str | None = None
    """sha256 of the wheel that was committed last."""
    kept: tuple[str, ...] = ()
    """Names of the folders in `previous/` that it knows of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host, from outside; paths on it lead through its first process's root."""

    cluster: Cluster
    host: Host

    @property
    def name(self) -> str:
        """As the hostfile has it."""
        return self.host.name

    @property
    def init(self) -> Process:
        """Its first process. Raises BenchError when the cluster is down."""
        running = load_running(self.cluster.folder)
        if running is None:
            raise BenchError(f"the cluster {self.cluster.name} is not up")
        return running.hosts[self.name]

    def path(self, path: str | Path) -> Path:
        """Return where this machine finds a path of that host."""
        return Path(f"/proc/{self.init.pid}/root", str(path).lstrip("/"))

    @property
    def environment(self) -> Path:
        """Its virtual environment."""
        return self.path(Path(self.host.python).parent.parent)

    @property
    def site_packages(self) -> Path:
        """Where pip puts packages there."""
        (folder,) = self.environment.glob("lib/python3*/site-packages")
        return folder

    @property
    def cache(self) -> Path:
        """The agent's own folder."""
        return self.path(self.host.home) / ".cache" / "dsdeploy"

    def ledger(self) -> Ledger:
        """Return what the host has written down; it keeps one file, because it has one interpreter."""
        for path in (self.cache / "deployments").glob("*.json"):
            return read_ledger(json.loads(path.read_text(encoding="utf-8")))
        return Ledger()

    def processes(self) -> list[Process]:
        """Return all that runs there, parents before children."""
        return find_descendants(self.init.pid)

    def running(self, *words: bytes) -> list[Process]:
        """Return the processes there whose command line has an argument that begins with each of the words."""
        return [
            process
            for process in self.processes()
            if all(any(argument.startswith(word) for argument in arguments_of(process)) for word in words)
        ]

    def agents(self) -> list[Process]:
        """Return its agents."""
        return self.running(_READ_BOOTSTRAP)

    def freeze_agents(self) -> list[Process]:
        """Let every agent and all that it started stand still, and return them, agents first."""
        frozen: list[Process] = []
        while more := [process for process in self._of_agents() if process not in frozen]:
            stop(more)
            frozen += more
        return frozen

    def _of_agents(self) -> list[Process]:
        agents = self.agents()
        return [*agents, *(child for agent in agents for child in find_descendants(agent.pid))]

    def suffer(self, fault: str) -> None:
        """Let the test cluster make a fault, or `restore` the host."""
        tell_keeper(self.cluster.folder, self.name, fault)


def read_ledger(document: dict[str, Any]) -> Ledger:
    """Return what counts in a ledger's document (orchestrator/agent/ledger.py)."""
    pending, stamp = document.get("pending") or {}, document.get("stamp") or {}
    return Ledger(
        state=pending.get("state"),
        deployment=pending.get("deployment"),
        stamp_deployment=stamp.get("deployment"),
        stamp_wheel=stamp.get("wheel_sha256"),
        kept=tuple(kept["id"] for kept in document.get("kept") or ()),
    )


def arguments_of(process: Process) -> list[bytes]:
    """Return a process's command line; nothing when it has ended."""
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def maps_of(process: Process) -> str:
    """Return which files a process has mapped; nothing when it has ended."""
    try:
        return Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
    except OSError:
        return ""


def stop(processes: Sequence[Process]) -> None:
    """Let processes stand still; they do when this returns. Raises BenchError when one does not."""
    send_signal(processes, signal.SIGSTOP)
    for process in processes:
        _await_stop(process)


def _await_stop(process: Process) -> None:
    stat = Path(f"/proc/{process.pid}/stat")
    for _ in range(int(_STOP_TIMEOUT_S * 1000)):
        if identify(process.pid) != process or stat.read_text(errors="replace").rpartition(")")[2].split()[0] in "Tt":
            return
        wait_until_gone([process], timeout_s=0.001)
    raise BenchError(f"process {process.pid} does not stand still")


def thaw(processes: Iterable[Process]) -> None:
    """Let frozen processes go on."""
    send_signal(processes, signal.SIGCONT)


def kill(processes: Sequence[Process]) -> None:
    """End processes at once."""
    send_signal(processes, signal.SIGKILL)
    wait_until_gone(processes, timeout_s=_STOP_TIMEOUT_S)
