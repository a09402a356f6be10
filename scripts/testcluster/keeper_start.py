"""Starts the keeper of a cluster and waits until all its hosts are up."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.state import Cluster

_START_TIMEOUT_S = 180.0


def start_keeper(cluster: Cluster, program: Path) -> None:
    """Start the keeper in a session of its own and wait for its first line. Raises ClusterError."""
    if not cluster.is_isolated and os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation wants it
    folder = cluster.folder
    command = [sys.executable, "-I", "-S", str(program), "_keep", str(folder)]
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd="/", start_new_session=True
        )  # fmt: skip
    try:
        _wait_until_ready(keeper, folder / "keeper.log")
    except BaseException:
        keeper.terminate()  # it ends its hosts
        keeper.wait()
        raise
    keeper.returncode = 0  # it lives on: no warning about a child that was not waited for


def _wait_until_ready(keeper: subprocess.Popen[bytes], log: Path) -> None:
    if keeper.stdout is None:
        raise ClusterError("the keeper has no mouth")
    with keeper.stdout as mouth:
        ready, _, _ = select.select([mouth], [], [], _START_TIMEOUT_S)
        line = mouth.readline().decode(errors="replace").strip() if ready else "error it takes too long"
    if line != "ready":
        last_words = log.read_text(encoding="utf-8", errors="replace").strip()
        raise ClusterError(f"the cluster did not start: {line.removeprefix('error ')} {last_words}".strip())
