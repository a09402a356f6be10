"""Hosts that files are carried to, looked into from outside; and one such run, watched while it goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from cluster_hosts import CLUSTER, ClusterUnderTest
from testcluster.control import tell_keeper
from testcluster.layout import load_running
from testcluster.processes import find_descendants, send_signal

PROGRAM = Path(__file__).with_name("fan_out_run.py")
ROOT = PROGRAM.parent.parent.parent
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What one run said from its start to its end."""

    lines: list[dict[str, Any]]

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        """Host → its outcome."""
        return dict(self.lines[-1]["outcomes"])

    @property
    def report(self) -> dict[str, Any]:
        """The report of the whole."""
        return dict(self.lines[-1]["report"])

    @property
    def failures(self) -> dict[str, str]:
        """Host → why it failed."""
        return {host: outcome["failure"]["message"] for host, outcome in self.outcomes.items() if outcome["failure"]}

    @property
    def all_bytes(self) -> int:
        """Bytes that left the controller or a host for another one."""
        return int(self.report["controller_bytes"] + self.report["peer_bytes"])

    def bytes_of(self, key: str) -> list[int]:
        """Return `sent_bytes` or `kept_bytes` of all hosts that did not fail."""
        return [outcome["value"][key] for outcome in self.outcomes.values() if outcome["value"]]

    def notes(self, word: str) -> list[str]:
        """Return the notes with a word in them."""
        return [line["text"] for line in self.lines if line["kind"] == "note" and word in line["text"]]

    def told_s(self, host: str) -> float:
        """Return when it was told that a host is done, one way or the other."""
        return float(next(line["at_s"] for line in self.lines if line["kind"] == "finished" and line["host"] == host))

    def longest_pause_s(self, host: str) -> float:
        """Return the longest time in which a host held no more than before, from its first bytes to its end."""
        times: list[float] = []
        done = 0
        for line in self.lines:
            if line["kind"] == "progress" and line["host"] == host and line["done"] > done:
                times.append(float(line["at_s"]))
                done = line["done"]
        times.append(self.told_s(host))
        return max(after - before for before, after in pairwise(times))


@dataclass(slots=True, kw_only=True)
class Run:
    """A run that goes on, in a process of its own."""

    process: subprocess.Popen[str]
    limit: threading.Timer
    """Ends it when it lasts too long."""
    lines: list[dict[str, Any]] = field(default_factory=list)

    def follow(self) -> Iterator[dict[str, Any]]:
        """Yield what it says, line by line."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(json.loads(text))
            yield self.lines[-1]

    def wait_for(self, share: float, *hosts: str) -> str:
        """Return the first of the hosts that holds so much of all its bytes."""
        for line in self.follow():
            if line["kind"] == "progress" and line["host"] in hosts and line["done"] >= share * line["total"] > 0:
                return str(line["host"])
        raise AssertionError(f"none of {hosts} ever held {share:.0%}: {self.process.communicate()[1]}")

    def wait_until_done(self, *hosts: str) -> None:
        """Return when these hosts are done, one way or the other."""
        waiting = set(hosts)
        for line in self.follow():
            if line["kind"] == "finished":
                waiting.discard(line["host"])
            if not waiting:
                return
        raise AssertionError(f"{waiting} were never done: {self.process.communicate()[1]}")

    def held(self, host: str) -> int:
        """Return how many bytes a host has got, as far as is known yet."""
        told = (line for line in self.lines if line["kind"] == "progress" and line["host"] == host)
        return max((int(line["done"]) for line in told), default=0)

    def end(self) -> Carried:
        """Wait for the end, which must be an orderly one."""
        list(self.follow())
        _, errors = self.process.communicate()
        self.limit.cancel()
        assert (self.process.returncode, errors) == (0, "")
        return Carried(lines=self.lines)

    def kill(self) -> None:
        """End it without a word."""
        self.limit.cancel()
        self.process.kill()
        self.process.communicate()


@dataclass(slots=True, kw_only=True)
class FanOutHosts:
    """An isolated cluster, and files to carry to it."""

    cluster: ClusterUnderTest
    folder: Path
    suffering: set[str] = field(default_factory=set)

    def make_file(self, size_bytes: int) -> Path:
        """Return a file that no host has seen."""
        path = self.folder / f"{os.urandom(4).hex()}.whl"
        path.write_bytes(os.urandom(size_bytes))
        return path

    def carry(self, file: Path, *numbers: int, relay_ports: tuple[int, int] | None = None) -> Run:
        """Begin to carry a file to `worker-N`s, from the controller's network."""
        order = {
            "ssh_config": self.cluster.document["ssh_config_inside"],
            "file": str(file),
            "hosts": [f"worker-{number}" for number in numbers],
            "relay_ports": relay_ports,
        }
        command = [sys.executable, str(CLUSTER), "exec", "--name", self.cluster.document["name"], "--"]
        process = subprocess.Popen(
            [*command, sys.executable, str(PROGRAM), json.dumps(order)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.cluster.environment | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        limit = threading.Timer(_LIMIT_S, process.kill)
        limit.daemon = True
        limit.start()
        return Run(process=process, limit=limit)

    def strike(self, host: str, way: str) -> float:
        """Let a host suffer a fault of the cluster, or end its `agent` or `sshd`; return when that was done."""
        match way:
            case "agent":
                self._end_processes(host, "python")
            case "sshd":
                self.suffering.add(host)
                self._end_processes(host, "sshd")
            case _:
                self.suffering.add(host)
                tell_keeper(Path(self.cluster.document["folder"]), host, way)
        return time.monotonic()

    def restore(self) -> None:
        """Make all hosts well again."""
        for host in self.suffering:
            tell_keeper(Path(self.cluster.document["folder"]), host, "restore")
        self.suffering.clear()

    def whole(self, file: Path) -> list[str]:
        """Return the hosts that have something under the file's final name; it must be the file."""
        digest = _digest(file)
        found = []
        for host in self.cluster.hosts:
            path = self._cache(host.name) / "wheels" / digest / file.name
            if path.exists():
                assert _digest(path) == digest
                found.append(host.name)
        return found

    def parts(self, file: Path) -> dict[str, int]:
        """Return host → bytes on its disk of what has arrived, of those that have a part of the file."""
        found = {}
        for host in self.cluster.hosts:
            for path in (self._cache(host.name) / "wheels" / _digest(file)).glob(f".{file.name}*.part"):
                found[host.name] = path.stat().st_blocks * 512
        return found

    def processes(self, host: str, kind: str = "python") -> list[int]:
        """Return who runs on a host by that name."""
        return [process.pid for process in self._find(host, kind)]

    def listeners(self, host: str) -> dict[int, str]:
        """Return port → address (hex, as in proc(5)) of all that listens on a host for TCP."""
        table = Path(f"/proc/{self._init(host)}/net/tcp").read_text().splitlines()[1:]
        listening = [line.split()[1].split(":") for line in table if line.split()[3] == "0A"]
        return {int(port, 16): address for address, port in listening}

    def _find(self, host: str, kind: str) -> list[Any]:
        below = find_descendants(self._init(host))
        return [process for process in below if Path(f"/proc/{process.pid}/comm").read_text().startswith(kind)]

    def _end_processes(self, host: str, kind: str) -> None:
        found = self._find(host, kind)
        assert found, f"{host} runs no {kind}"
        send_signal(found, signal.SIGKILL)

    def _cache(self, host: str) -> Path:
        (home,) = (each.home for each in self.cluster.hosts if each.name == host)
        return Path(f"/proc/{self._init(host)}/root{home}/.cache/dsdeploy")

    def _init(self, host: str) -> int:
        running = load_running(Path(self.cluster.document["folder"]))
        assert running is not None
        return running.hosts[host].pid


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
