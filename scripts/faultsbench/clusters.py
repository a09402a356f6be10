"""The hosts of the bench: brought up, made ready, taken down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testcluster.state import Cluster, parse_cluster

from faultsbench.errors import BenchError
from faultsbench.hosts import HostView

CLUSTER = (sys.executable, str(Path(__file__).resolve().parents[1] / "cluster"))
_NAME = "bench-faults"


@contextmanager
def cluster_up(folder: Path, hosts: int, *options: str) -> Iterator[Cluster]:
    """Bring hosts up, their files in `folder`, and yield them; at the end they are down.

    Raises BenchError where hosts cannot have networks and disks of their own.
    """
    environment = os.environ | {"XDG_STATE_HOME": str(folder)}
    try:
        cluster = _bring_up(hosts, options, environment)
        if not cluster.is_isolated:
            raise BenchError(f"hosts need networks and disks of their own: {cluster.reason}")
        yield cluster
    finally:
        down = (*CLUSTER, "down", "--name", _NAME)
        subprocess.run(down, env=environment, stdout=subprocess.DEVNULL, check=True)


def _bring_up(hosts: int, options: tuple[str, ...], environment: Mapping[str, str]) -> Cluster:
    up = (*CLUSTER, "up", str(hosts), "--name", _NAME, *options, "--json")
    done = subprocess.run(up, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise BenchError("the test cluster did not come up")
    return parse_cluster(done.stdout)


def views_of(cluster: Cluster) -> tuple[HostView, ...]:
    """Return every host, as it is seen from outside."""
    return tuple(HostView(cluster=cluster, host=host) for host in cluster.hosts)
