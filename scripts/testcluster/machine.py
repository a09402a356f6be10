"""One host as seen from inside: it makes the host's world, runs its sshd and suffers its faults."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from testcluster import filesystem, kernel
from testcluster.config_texts import cpuinfo_of, make_hosts_file
from testcluster.errors import ClusterError
from testcluster.host_link import HostLink
from testcluster.processes import end_descendants, find_descendants, send_signal
from testcluster.requirements import require_tool
from testcluster.state import Cluster, Host

_KEPT_DISK = "disk.tar"
_LISTEN_TIMEOUT_S = 20.0


class Machine:
    """One host: its sshd and the faults that it can suffer from inside."""

    def __init__(self, cluster: Cluster, host: Host) -> None:
        self._cluster = cluster
        self._host = host
        self._link = HostLink(cluster, host) if cluster.is_isolated else None
        self._sshd: subprocess.Popen[bytes] | None = None
        self._black_hole: tuple[socket.socket, ...] = ()
        self._folder = os.open(host.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._log = os.open(host.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def obey(self, word: str) -> None:
        """Do what the keeper says. Raises ClusterError or OSError when it cannot be done."""
        name, _, amount = word.partition(":")
        match name:
            case "start":
                self._make_world()
                self._listen()
            case "refuse":
                self._stop_listening()
            case "silence":
                self._stop_listening()
                self._open_black_hole()
                self._signal_all(signal.SIGSTOP)
            case "freeze":
                self._signal_all(signal.SIGSTOP)
            case "thaw":
                self._signal_all(signal.SIGCONT)
            case "fill":
                self._fill(left_mb=int(amount or 0))
            case "save":
                self._save()
            case "restore":
                self._restore()
            case _:
                self._own_link.suffer(name, amount)

    def _make_world(self) -> None:
        if self._link is None:
            return
        folder = Path(self._host.folder)
        self._link.wire()
        filesystem.enter_private_root(
            folder / "disk",
            disk_mb=self._cluster.options.disk_mb,
            own_folder=folder,
            shared=Path(self._host.home) if self._host.shares_home else None,
            kept=folder / _KEPT_DISK,
        )
        if self._host.cpu is not None:
            kernel.mount(str(cpuinfo_of(self._host)), Path("/proc/cpuinfo"), "", flags=kernel.MS_BIND)
        socket.sethostname(self._host.name)
        Path("/etc/hosts").write_text(make_hosts_file(self._cluster.hosts), encoding="utf-8")
        _unlock_account(Path("/etc/shadow"), self._cluster.user)

    @property
    def _own_link(self) -> HostLink:
        if self._link is None:
            raise ClusterError("a host of a loopback cluster has no link of its own that could suffer")
        return self._link

    def _listen(self) -> None:
        folder = Path(self._host.folder)
        pid_file = folder / "sshd.pid"
        pid_file.unlink(missing_ok=True)
        self._sshd = subprocess.Popen(
            [require_tool("sshd"), "-D", "-e", "-f", str(folder / "sshd_config")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._log,
        )  # fmt: skip
        deadline = time.monotonic() + _LISTEN_TIMEOUT_S
        while not pid_file.exists():  # sshd writes it when it listens
            if self._sshd.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"sshd did not start; its last words: {_last_line(Path(self._host.log))}")
            time.sleep(0.002)

    def _stop_listening(self) -> None:
        """End the listening sshd alone: sessions go on, new connections are refused."""
        if self._sshd is not None:
            self._sshd.kill()
            self._sshd.wait()
            self._sshd = None

    def _open_black_hole(self) -> None:
        """Listen with a queue that is full for ever: the kernel neither takes nor refuses what comes.

        A packet filter would do as well, but not every kernel grants one to ordinary users.
        """
        self._close_black_hole()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host.address, self._host.port))
        listener.listen(0)
        self._black_hole = (listener, socket.create_connection((self._host.address, self._host.port)))

    def _close_black_hole(self) -> None:
        for endpoint in self._black_hole:
            endpoint.close()
        self._black_hole = ()

    def _fill(self, *, left_mb: int) -> None:
        if not self._cluster.is_isolated:
            raise ClusterError("a host of a loopback cluster has no disk of its own that could be filled")
        filesystem.fill_disk(left_mb)

    def _save(self) -> None:
        """End everything on the host and keep what it wrote for the next time."""
        self._stop_listening()
        end_descendants()
        if self._cluster.is_isolated:
            filesystem.save_disk(self._folder, _KEPT_DISK)

    def _restore(self) -> None:
        self._close_black_hole()
        self._signal_all(signal.SIGCONT)
        if self._link is not None:
            self._link.restore()
            filesystem.empty_disk(self._cluster.options.disk_mb)
        if self._sshd is None or self._sshd.poll() is not None:
            self._listen()

    def _signal_all(self, number: signal.Signals) -> None:
        send_signal(find_descendants(os.getpid()), number)


def _unlock_account(shadow: Path, user: str) -> None:
    """Let a locked account in by its key: without PAM sshd refuses accounts whose password begins with `!`."""
    lines = shadow.read_text(encoding="utf-8").splitlines(keepends=True)
    unlocked = [line.replace(":!", ":*", 1) if line.startswith(f"{user}:!") else line for line in lines]
    if unlocked != lines:
        shadow.write_text("".join(unlocked), encoding="utf-8")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "none"
