"""Runs dsdeploy as a person does: as a process of its own, from folders of its own, against real hosts."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_hosts import ClusterUnderTest, HostUnderTest

ROOT = Path(__file__).parent.parent.parent
DSDEPLOY = Path(sys.executable).parent / "dsdeploy"
RECIPE = ("-r", "cpu-training")


MakeCluster = Callable[..., ClusterUnderTest]


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
    def logs(self) -> Path:
        """Where the logs of this user's builds are kept."""
        return self.folder / "state" / "dsdeploy" / "logs"

    def wheels(self) -> list[Path]:
        """Return all files of this user's store that are called wheels, finished or not."""
        return sorted(self.data.rglob("*.whl"))

    @property
    def environment(self) -> dict[str, str]:
        """What this user's commands find in their environment."""
        own = {f"XDG_{kind.upper()}_HOME": str(self.folder / kind) for kind in ("cache", "data", "state")}
        return os.environ | own | {"PIP_CACHE_DIR": pip_cache()}

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start dsdeploy in a session of its own, so that a signal reaches it alone."""
        return subprocess.Popen(
            [str(DSDEPLOY), *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT, env=self.environment, start_new_session=True,
        )  # fmt: skip

    def start_on_a_terminal(self, terminal: int, *words: object) -> subprocess.Popen[bytes]:
        """Start dsdeploy as a login shell would, on the terminal with this descriptor."""
        return subprocess.Popen(
            ["setsid", "--ctty", str(DSDEPLOY), *map(str, words)],
            stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, env=self.environment | {"TERM": "xterm"},
        )  # fmt: skip

    def run(self, *words: object) -> Answer:
        """Run dsdeploy to its end."""
        return answer_of(self.start(*words), timeout_s=1200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """Hosts after their first `provision`, from nothing."""

    cluster: ClusterUnderTest
    controller: Controller
    answer: Answer
    connections: list[int]
    """How many each host was asked for meanwhile."""

    @property
    def wheel(self) -> Path:
        """The wheel that was built, in the controller's store."""
        plan, *_ = self.answer.document["plan"]["wheels"]
        (wheel,) = self.controller.data.glob(f"wheels-v1/{plan['build_key']}/*/*.whl")
        return wheel

    @property
    def manifest(self) -> Any:
        """What the wheel says of itself."""
        with zipfile.ZipFile(self.wheel) as members:
            (name,) = (name for name in members.namelist() if name.endswith(".dist-info/dsdeploy.json"))
            return json.loads(members.read(name))

    @property
    def built_ops(self) -> list[str]:
        """The ops that the wheel holds."""
        return [op["name"] for op in self.manifest["ops"] if op["is_built"]]


def answer_of(process: subprocess.Popen[str], *, timeout_s: float) -> Answer:
    """Wait for the end of a command. A traceback is a failure of the test, whatever was expected."""
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    assert "Traceback" not in stderr, stderr
    return Answer(exit_code=process.returncode, stdout=stdout, stderr=stderr)


@functools.cache
def pip_cache() -> str:
    """Return where this user's pip keeps its downloads: they are shared."""
    command = [sys.executable, "-m", "pip", "cache", "dir"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def reach(cluster: ClusterUnderTest) -> tuple[str, ...]:
    """Return the words that lead a command to a cluster's hosts."""
    return ("--hostfile", str(cluster.hostfile), "--ssh-config", str(cluster.ssh_config))


def ask(cluster: ClusterUnderTest, host: str, command: str) -> str:
    """Return what a command says on a host; it must succeed."""
    done = cluster.ssh(host, command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def snapshot(cluster: ClusterUnderTest, host: HostUnderTest) -> list[str]:
    """Return every file of a host's home and virtual environment with its size, inode, mode and time of change."""
    environment = Path(host.python).parent.parent
    listing = f"find '{host.home}' '{environment}' -printf '%p %s %i %m %C@\\n'"
    return sorted(ask(cluster, host.name, listing).splitlines())


def site_packages(cluster: ClusterUnderTest, host: HostUnderTest) -> str:
    """Return where a host's interpreter keeps its own packages."""
    question = "import sysconfig; print(sysconfig.get_path('platlib'))"
    return ask(cluster, host.name, f"'{host.python}' -c \"{question}\"").strip()


def installed_files(cluster: ClusterUnderTest, host: HostUnderTest) -> list[str]:
    """Return every file of a host's virtual environment with its size, mode and time of change of its content."""
    environment = Path(host.python).parent.parent
    return sorted(ask(cluster, host.name, f"find '{environment}' ! -type d -printf '%p %s %m %T@\\n'").splitlines())


def pending_state(cluster: ClusterUnderTest, host: HostUnderTest) -> str | None:
    """Return how far a host has written down that the deployment got which it has not ended; None without one."""
    text = cluster.ssh(host.name, f"cat '{host.home}'/.cache/dsdeploy/deployments/*.json").stdout
    pending = json.loads(text)["pending"] if text else None
    return pending["state"] if pending else None


def processes_on(host: HostUnderTest) -> list[str]:
    """Return the command lines of all that runs on a host, but for its sshd; this machine sees them all."""
    home = f"HOME={host.home}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if home in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended, or is not ours to see
            continue
    return found


def leftovers_on(cluster: ClusterUnderTest, host: HostUnderTest) -> list[str]:
    """Return what builds and transfers left behind on a host: workspaces, parts of files, temporary files."""
    cache, cluster_folder = f"'{host.home}/.cache/dsdeploy'", cluster.hostfile.parent
    commands = [f"find {cache}/work -mindepth 1 -maxdepth 1", f"find {cache} -name '*.part'"]
    if cluster.is_isolated:  # what the host itself wrote into its /tmp, where the cluster may lie too
        commands.append(f"find /run/disk/upper/tmp -path '/run/disk/upper{cluster_folder}' -prune -o -type f -print")
    else:
        commands.append('find "$TMPDIR" -mindepth 1')
    return cluster.ssh(host.name, "; ".join(commands)).stdout.splitlines()


def wait_until(condition: Callable[[], object], *, timeout_s: float) -> None:
    """Ask again and again until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.1)
