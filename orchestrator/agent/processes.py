"""Runs programs, each in a process group of its own, so that none outlives its request."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    import subprocess
    from typing import IO, Callable, Mapping, Sequence

_REAP_S = 2.0
_DRAIN_S = 10.0
_POLL_S = 0.01
_LINE_BYTES = 1 << 16


class Ended:
    """How a program ended.

    A negative `returncode` is the signal that ended it; `peak_memory_bytes` is that of the largest process among it and
    its descendants, None when it could not be ended.
    """

    def __init__(self, returncode: int, elapsed_s: float, peak_memory_bytes: int | None, *, is_timed_out: bool) -> None:
        self.returncode = returncode
        self.elapsed_s = elapsed_s
        self.peak_memory_bytes = peak_memory_bytes
        self.is_timed_out = is_timed_out


class Children:
    """The programs that run for one request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, float] = {}
        self.is_ended = False

    def run(  # noqa: PLR0913 - each says one thing of the same program, and nearly all have defaults
        self,
        argv: Sequence[str],
        *,
        on_line: Callable[[str], None],
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        grace_s: float = 0.0,
        keep_open: Sequence[int] = (),
    ) -> Ended:
        """Run a program to its end, standard output and error together, line by line.

        Its whole process group is killed after `timeout_s`, and what it left behind when it ends.
        When the connection is lost it may go on for `grace_s` to finish what must not be cut in half.
        It inherits the descriptors `keep_open`: a lock on one of them lasts as long as the program, whoever dies first.
        Raises AgentError (host) when it cannot be started.
        """
        started = time.monotonic()
        child = self._start(argv, cwd, environment, grace_s, keep_open)
        pump = threading.Thread(target=_pump, args=(child.stdout, on_line), daemon=True)
        pump.start()
        has_ended = threading.Event()
        threading.Thread(target=_await_end, args=(child.pid, has_ended), daemon=True).start()
        is_timed_out = not has_ended.wait(timeout_s)
        if is_timed_out:
            _kill_group(child.pid)
            if not has_ended.wait(_REAP_S):  # stuck in the kernel, as nvidia-smi over a broken driver
                child.returncode = -signal.SIGKILL
                return Ended(child.returncode, time.monotonic() - started, None, is_timed_out=True)
        usage = self._reap(child)
        _await_group_end(child.pid)
        pump.join(_DRAIN_S)
        return Ended(child.returncode, time.monotonic() - started, usage.ru_maxrss * 1024, is_timed_out=is_timed_out)

    def end(self) -> None:
        """Kill what runs and start nothing more; programs that were given a grace may end by themselves first."""
        with self._lock:
            self.is_ended = True
            until = time.monotonic() + max(self._running.values(), default=0.0)
        while self._running and time.monotonic() < until:
            time.sleep(_POLL_S)
        with self._lock:
            pids = list(self._running)
            for pid in pids:
                _kill_group(pid)
        for pid in pids:
            _await_group_end(pid)

    def _start(
        self,
        argv: Sequence[str],
        cwd: str | None,
        environment: Mapping[str, str] | None,
        grace_s: float,
        keep_open: Sequence[int],
    ) -> subprocess.Popen[bytes]:
        import subprocess  # noqa: PLC0415 - most of an agent's start, and not every one runs programs

        with self._lock:
            if self.is_ended:
                raise AgentError("host", f"{argv[0]} was not started: the request was cancelled")
            try:
                child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=environment,
                    start_new_session=True,
                    pass_fds=keep_open,
                )
            except (OSError, ValueError) as error:
                raise AgentError("host", f"{argv[0]} cannot be run: {_reason(error, cwd)}") from error
            self._running[child.pid] = grace_s
            return child

    def _reap(self, child: subprocess.Popen[bytes]) -> resource.struct_rusage:
        with self._lock:  # until wait4 the number cannot belong to anybody else
            _kill_group(child.pid)
            del self._running[child.pid]
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return usage


def capture(
    children: Children,
    argv: Sequence[str],
    timeout_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> str:
    """Return what a program says, standard output and error together.

    Raises AgentError (host) with its last line when it fails, hangs, or cannot be started.
    """
    lines: list[str] = []
    ended = children.run(argv, on_line=lines.append, timeout_s=timeout_s, environment=environment, cwd=cwd)
    if ended.is_timed_out:
        raise AgentError("host", f"{argv[0]} did not answer within {timeout_s:g} s")
    if ended.returncode:
        raise AgentError("host", f"{argv[0]} {how_it_ended(ended.returncode)}: {last_line(lines)}")
    return "\n".join(lines)


def how_it_ended(returncode: int) -> str:
    """Return the words for a return code that is not 0."""
    if returncode >= 0:
        return f"ended with {returncode}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"was ended by signal {-returncode}"


def last_line(lines: Sequence[str]) -> str:
    """Return the last line that says anything."""
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _pump(stream: IO[bytes], on_line: Callable[[str], None]) -> None:
    with stream:
        for line in iter(lambda: stream.readline(_LINE_BYTES), b""):
            on_line(line.decode("utf-8", "replace").rstrip("\r\n"))


def _await_end(pid: int, has_ended: threading.Event) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    has_ended.set()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _await_group_end(pid: int) -> None:
    """Wait until the killed are gone, so that none still writes where its folder is being removed."""
    until = time.monotonic() + _REAP_S
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 0)  # nearly always nothing is left, and this says so
        while _lives(pid) and time.monotonic() < until:
            time.sleep(_POLL_S)


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that ended and waits for its parent does not."""
    return _group_of(str(pid)) is not None


def _lives(group: int) -> bool:
    """Return whether a process of the group still runs; orphans that nobody has buried yet do not."""
    return any(_group_of(name) == group for name in filter(str.isdigit, os.listdir("/proc")))


def _group_of(pid: str) -> int | None:
    """Return the process group of a process; None when it does not run."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
        state, _parent, group = stream.read().rpartition(")")[2].split()[:3]
        return None if state in "ZX" else int(group)
    return None


def _reason(error: Exception, cwd: str | None) -> str:
    if isinstance(error, FileNotFoundError) and cwd is not None and not os.path.isdir(cwd):
        return f"there is no folder {cwd}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
