"""The first process of a host: it obeys the keeper, and when the keeper is gone the host ends.

It reads one word a line on stdin and answers each with `ok` or `error WHY`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testcluster import kernel
from testcluster.errors import ClusterError
from testcluster.layout import load_cluster
from testcluster.machine import Machine
from testcluster.processes import collect_ended_children, end_descendants


def run(folder: Path, name: str) -> int:
    """Be a host until stdin ends."""
    cluster = load_cluster(folder)
    if cluster is None:
        return 2
    kernel.adopt_orphans()
    machine = Machine(cluster, cluster.find_host(name))
    _answer("ok")
    for word in _read_words():
        try:
            machine.obey(word)
        except (ClusterError, OSError, subprocess.SubprocessError) as error:
            _answer(f"error {' '.join(str(error).split())}")
        else:
            _answer("ok")
    end_descendants()
    return 0


def _answer(line: str) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _read_words() -> Iterator[str]:
    """Yield the keeper's words, and collect the ended children that became ours while waiting for them."""
    wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    pending = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            collect_ended_children()
        if 0 in ready:
            received = os.read(0, 4096)
            if not received:
                return
            *lines, pending = (pending + received).split(b"\n")
            yield from (line.decode() for line in lines)
