"""The hosts of a contest: brought up, looked at, taken down."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from testcluster.state import Cluster, Host, parse_cluster

from fanoutbench.contests import Contest
from fanoutbench.errors import BenchError
from fanoutbench.ground import TARGET, Ground

SCRIPTS = Path(__file__).resolve().parents[1]
_CLUSTER = (sys.executable, str(SCRIPTS / "cluster"))
_LOOKS = 4
"""Hosts that are looked at at once."""
_LOOK = """
import hashlib, os, shutil, sys
path, *left = map(os.path.expanduser, sys.argv[1:])
try:
    with open(path, "rb") as file:
        print(hashlib.sha256(file.read()).hexdigest())
finally:
    for name in left:
        shutil.rmtree(name) if os.path.isdir(name) else os.path.exists(name) and os.remove(name)
"""


@contextmanager
def cluster_up(contest: Contest, name: str) -> Iterator[Cluster]:
    """Bring a contest's hosts up and yield them; at the end they are down.

    Raises BenchError where hosts cannot have networks of their own.
    """
    rate = ("--rate", contest.rate) if contest.rate else ()
    disk = ("--disk-mb", str(512 + contest.size_bytes // 500_000))
    up = (*_CLUSTER, "up", str(contest.hosts), "--name", name, *rate, *disk, "--torch", "none", "--json")
    try:
        done = subprocess.run(up, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise BenchError("the test cluster did not come up")
        cluster = parse_cluster(done.stdout)
        if not cluster.is_isolated:
            raise BenchError(f"hosts need networks of their own: {cluster.reason}")
        yield cluster
    finally:
        subprocess.run([*_CLUSTER, "down", "--name", name], stdout=subprocess.DEVNULL, check=True)


def run_inside(cluster: Cluster, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a Python module in the network of the cluster's controller."""
    command = [*_CLUSTER, "exec", "--name", cluster.name, "--", sys.executable, "-m", *argv]
    subprocess.run(command, cwd=SCRIPTS, env=environment, check=True)


def count_whole(ground: Ground, hosts: Sequence[Host], target: str) -> int:
    """Return how many of the hosts hold the file, by its sha256; then they hold nothing, not even our agent."""
    with ThreadPoolExecutor(_LOOKS) as pool:
        digests = list(pool.map(lambda host: _look(ground, host, target), hosts))
    return digests.count(ground.payload.sha256)


def _look(ground: Ground, host: Host, target: str) -> str:
    question = shlex.join([host.python, "-I", "-c", _LOOK, target, TARGET, "~/.cache/dsdeploy", "~/.ansible"])
    config = str(ground.cluster.folder / "ssh_config")
    done = subprocess.run(
        ["ssh", "-F", config, "-o", "KexAlgorithms=curve25519-sha256", host.name, question],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()
