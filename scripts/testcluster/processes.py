"""Knows a process by its id and start time, so that a recycled id is never taken for it."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PPID, _START = 1, 19  # places after the command's closing parenthesis, proc(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of this machine's boot."""

    pid: int
    start_ticks: int
    """Clock ticks between the boot and the start of the process."""


def parse_stat(text: str) -> tuple[str, int, int]:
    """Return state, parent id and start ticks of a `/proc/PID/stat` text; the command may hold anything."""
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[_PPID]), int(fields[_START])


def identify(pid: int) -> Process | None:
    """Return who has this id now; None when nobody has, or only a zombie."""
    try:
        state, _, start = parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else Process(pid=pid, start_ticks=start)


def is_alive(process: Process) -> bool:
    """Tell whether this very process still runs."""
    return identify(process.pid) == process


def find_descendants(pid: int) -> list[Process]:
    """Return all living processes below one, parents before children."""
    children: dict[int, list[Process]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent, start = parse_stat(text)
        if state not in "ZX":
            children[parent].append(Process(pid=int(entry.name), start_ticks=start))
    found: list[Process] = []
    queue = [pid]
    while queue:
        below = children[queue.pop()]
        found.extend(below)
        queue.extend(child.pid for child in below)
    return found


def send_signal(processes: Iterable[Process], number: signal.Signals) -> None:
    """Signal those of the processes that still run."""
    for process in processes:
        if is_alive(process):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)


def wait_until_gone(processes: Iterable[Process], *, timeout_s: float) -> list[Process]:
    """Wait for the end of the processes and return those that are still there."""
    deadline = time.monotonic() + timeout_s
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [process for process in left if is_alive(process)]
    return left


def collect_ended_children() -> None:
    """Take note of every child that has ended, so that none stays behind as a zombie."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_descendants() -> None:
    """Kill everything below the calling process, also what is born meanwhile."""
    while below := find_descendants(os.getpid()):
        send_signal(below, signal.SIGKILL)
        wait_until_gone(below, timeout_s=0.2)
    collect_ended_children()
