"""Runs a command in the controller's network and says what it cost.

    python -m fanoutbench.measuring COST.json LOG LIMIT_S COMMAND...

A process of its own, because it must be the one that inherits what the command leaves behind: that is ended, and its
CPU seconds count too. What hosts use does not.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testcluster.links import DEVICE
from testcluster.processes import find_descendants, send_signal

_PR_SET_CHILD_SUBREAPER = 36
"""prctl(2)"""
_END_TIMEOUT_S = 5
_COUNTERS = Path("/proc/self/net/dev")
"""Those of this process's network, unlike /sys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one command took."""

    returncode: int
    """124: it was ended because it took too long."""
    started_at_s: float
    """By the system's monotonic clock, which all processes share."""
    wall_s: float
    cpu_s: float
    """User and system time of all its processes on the controller."""
    peak_process_bytes: int
    """Resident memory of the largest single process."""
    sent_bytes: int
    """What left by the controller's interface, headers and acknowledgements included."""


def run(argv: list[str], log: Path, limit_s: int, device: str) -> Cost:
    """Run a command as a child of this process, which must have no other."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGALRM, _give_up)
    sent_before = count_sent(_COUNTERS.read_text(encoding="ascii"), device)
    usages = []
    ended, returncode = 0.0, 124
    started = time.monotonic()
    pid = _spawn(argv, log)
    with suppress(TimeoutError):
        signal.alarm(limit_s)
        for child, status, usage in _ends():
            usages.append(usage)
            if child == pid:
                ended, returncode = time.monotonic(), os.waitstatus_to_exitcode(status)
                break
        signal.alarm(0)
    ended = ended or time.monotonic()
    sent_after = count_sent(_COUNTERS.read_text(encoding="ascii"), device)
    usages += _end_all()
    return Cost(
        returncode=returncode,
        started_at_s=started,
        wall_s=ended - started,
        cpu_s=sum(usage.ru_utime + usage.ru_stime for usage in usages),
        peak_process_bytes=max(usage.ru_maxrss for usage in usages) * 1024,
        sent_bytes=sent_after - sent_before,
    )


def _give_up(*_: object) -> None:
    raise TimeoutError


def _spawn(argv: list[str], log: Path) -> int:
    into_log = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    return os.posix_spawnp(argv[0], argv, os.environ, file_actions=[no_input, into_log, (os.POSIX_SPAWN_DUP2, 1, 2)])


def _ends() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Yield each child as it ends, with what it and its own dead children used, until there is none."""
    with suppress(ChildProcessError):
        while True:
            yield os.wait4(-1, 0)


def _end_all() -> list[resource.struct_rusage]:
    """End what is left, politely first, and return what it used."""
    usages = []
    for number in (signal.SIGTERM, signal.SIGKILL):
        send_signal(find_descendants(os.getpid()), number)
        with suppress(TimeoutError):
            signal.alarm(_END_TIMEOUT_S)
            for _, _, usage in _ends():
                usages.append(usage)
            signal.alarm(0)
            break
    return usages


def count_sent(text: str, device: str) -> int:
    """Return the bytes that a device sent, out of /proc/net/dev (proc(5)). Raises ValueError when it is not there."""
    for line in text.splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == device:
            return int(counters.split()[8])
    raise ValueError(f"there is no {device} in this network")


def main() -> None:
    """Measure the command of the command line."""
    cost_file, log, limit_s, *argv = sys.argv[1:]
    cost = run(argv, Path(log), int(limit_s), DEVICE)
    Path(cost_file).write_text(json.dumps(asdict(cost)), encoding="utf-8")


if __name__ == "__main__":
    main()
