"""Takes a cluster down: ends its processes, and no others, and removes or keeps what it holds."""

from __future__ import annotations

import enum
import shutil
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testcluster.control import SAVE, tell_keeper
from testcluster.errors import ClusterError
from testcluster.layout import KEPT, load_running
from testcluster.processes import Process, find_descendants, is_alive, send_signal, wait_until_gone

_AT_ONCE = 4
_END_TIMEOUT_S = 10.0


class KeptDisks(enum.Enum):
    """What stays of a cluster that goes down."""

    NONE = enum.auto()
    ALL = enum.auto()
    """Everything that the hosts wrote; only processes end, as when machines are switched off."""


def take_down(folder: Path, disks: KeptDisks = KeptDisks.NONE) -> bool:
    """End a cluster's own processes and remove its folder; tell whether there was one.

    Only processes whose id and start time the keeper wrote down, and what they started, are ended.
    """
    if not folder.exists():
        return False
    running = load_running(folder)
    if disks is KeptDisks.ALL and running is not None and is_alive(running.keeper):
        _save_disks(folder, running.hosts)
        (folder / KEPT).touch()
    if running is not None:
        _end(running.keeper, [process for process in running.hosts.values() if is_alive(process)])
        (folder / "running.json").unlink()
    if disks is KeptDisks.NONE or not (folder / KEPT).exists():
        _remove(folder)
    return True


def _save_disks(folder: Path, hosts: Iterable[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda host: tell_keeper(folder, host, SAVE), hosts))


def _end(keeper: Process, hosts: list[Process]) -> None:
    below = [process for host in hosts for process in find_descendants(host.pid)]
    send_signal([keeper], signal.SIGTERM)
    left = wait_until_gone([keeper, *hosts, *below], timeout_s=_END_TIMEOUT_S)
    send_signal(left, signal.SIGKILL)
    left = wait_until_gone(left, timeout_s=_END_TIMEOUT_S)
    if left:
        raise ClusterError(f"these processes do not end: {', '.join(str(process.pid) for process in left)}")


def _remove(folder: Path) -> None:
    """Remove a folder; a dying host's mounts may hold parts of it for a moment."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.02)
    shutil.rmtree(folder)
