"""Runs a command and says what it cost: wall and CPU seconds, and memory, with all that it started.

    python measuring.py COST.json LOG -- COMMAND...

A process of its own, because it must be the one that inherits what the command leaves behind: programs that were
started in sessions of their own count too. The host's side of an SSH connection does not.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SAMPLE_S = 1.0
_PR_SET_CHILD_SUBREAPER = 36
"""prctl(2)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one command took."""

    returncode: int
    wall_s: float
    cpu_s: float
    """User and system time of all its processes."""
    peak_process_bytes: int
    """Resident memory of the largest single process."""
    peak_tree_bytes: int
    """Resident memory of all its processes together, at the worst of the moments looked at, one each second."""
    left_running: int = 0
    """Processes that it left behind."""


def measure(argv: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Run a command, its output into `log`, and return its cost, whatever came of it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    cost = log.with_suffix(".cost.json")
    command = [sys.executable, "-I", __file__, cost, log, "--", *argv]
    subprocess.run(command, cwd=cwd, env=environment, check=True)
    return Cost(**json.loads(cost.read_text(encoding="utf-8")))


def run(argv: Sequence[str], log: Path) -> Cost:
    """Run a command as a child of this process, which must have no other."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    sampler = Sampler()
    sampler.start()
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    ended, returncode = started, 0
    usages = []
    while (child := _wait(until_one_ends=ended == started)) is not None:
        pid, status, usage = child
        usages.append(usage)
        if pid == process.pid:
            ended, returncode = time.monotonic(), os.waitstatus_to_exitcode(status)
    return Cost(
        returncode=returncode,
        wall_s=ended - started,
        cpu_s=sum(usage.ru_utime + usage.ru_stime for usage in usages),
        peak_process_bytes=max(usage.ru_maxrss for usage in usages) * 1024,
        peak_tree_bytes=sampler.peak_bytes,
        left_running=len(sampler.descendants()),
    )


def _wait(*, until_one_ends: bool) -> tuple[int, int, resource.struct_rusage] | None:
    """Return a child that has ended, with what it and its own dead children used; None when there is none (yet)."""
    try:
        child = os.wait4(-1, 0 if until_one_ends else os.WNOHANG)
    except ChildProcessError:
        return None
    return child if child[0] else None


class Sampler(threading.Thread):
    """Adds up the memory of all descendants of this process, once a second, for as long as it lives."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self.peak_bytes = max(self.peak_bytes, sum(map(resident_bytes, self.descendants())))
            time.sleep(SAMPLE_S)

    @staticmethod
    def descendants() -> set[int]:
        """Return the processes below this one."""
        return descendants_of(os.getpid(), read_parents())


def read_parents() -> dict[int, int]:
    """Return every process of the machine and its parent."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                stat = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:  # it has just ended
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def descendants_of(ancestor: int, parents: Mapping[int, int]) -> set[int]:
    """Return the processes that descend from one."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting: Iterable[int] = children.get(ancestor, ())
    while waiting:
        found.update(waiting)
        waiting = [child for pid in waiting for child in children.get(pid, ())]
    return found


def resident_bytes(pid: int) -> int:
    """Return the memory of one process; 0 when it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure the command of the command line."""
    cost_file, log, _separator, *argv = sys.argv[1:]
    cost = run(argv, Path(log))
    Path(cost_file).write_text(json.dumps(asdict(cost)), encoding="utf-8")


if __name__ == "__main__":
    main()
