"""Decides between network namespaces and loopback by trying, not by guessing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from testcluster import filesystem, links
from testcluster.errors import ClusterError
from testcluster.requirements import FOR_NAMESPACES, find_missing, require_tool
from testcluster.state import Network

_TRY_TIMEOUT_S = 30
_TRIAL = (
    "link add br0 type bridge",
    "link add host0 type veth peer name eth0",
    "link set host0 master br0 up",
)


def choose_network(asked: str, program: Path) -> tuple[Network, str]:
    """Return the network and the reason. Raises ClusterError when namespaces were asked for and do not work."""
    if asked == "loopback":
        return Network.LOOPBACK, "asked for"
    obstacle = find_obstacle(program)
    if obstacle is None:
        return Network.NAMESPACES, "asked for" if asked == "namespaces" else "root, and namespaces work here"
    if asked == "namespaces":
        raise ClusterError(f"no namespaces: {obstacle}", hint="--network loopback needs none")
    return Network.LOOPBACK, obstacle


def find_obstacle(program: Path) -> str | None:
    """Say why namespaces do not work here; None when they do: a small one was made and thrown away."""
    if os.geteuid() != 0:
        return "not root"
    missing = find_missing(FOR_NAMESPACES)
    if missing:
        return f"no {', '.join(missing)} (apt-get install -y {' '.join(sorted(set(missing.values())))})"
    enter = [require_tool("unshare"), "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    with tempfile.TemporaryDirectory(prefix="dsdeploy-cluster-") as scratch:
        command = [*enter, sys.executable, "-I", "-S", str(program), "_try", scratch]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TRY_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"a trial took longer than {_TRY_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    words = (done.stdout + done.stderr).strip().splitlines()
    return words[-1] if words else f"unshare ended with {done.returncode}"


def run_trial(scratch: Path) -> int:
    """Do in small what a host does; the process is in fresh namespaces already."""
    try:
        links.run_batch("ip", _TRIAL)
        links.run_batch("tc", links.shape_batch("eth0", "100mbit"))
        filesystem.enter_private_root(scratch, disk_mb=1, own_folder=Path("/"))
    except (ClusterError, OSError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0
