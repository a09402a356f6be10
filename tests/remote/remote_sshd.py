"""A real OpenSSH server for tests, and a TCP forwarder in front of it that can misbehave."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.remote.dial import Dialer

SSHD = "/usr/sbin/sshd"


@dataclass(kw_only=True)
class Sshd:
    """A running server and what a client needs to know."""

    folder: Path
    port: int
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    _listener: threading.Thread | None = None

    def listen(self) -> None:
        """Wait until it takes connections; its log grows from then on."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if "Server listening" in line:
                break
        else:
            raise AssertionError(f"sshd did not start: {self.log}")
        self._listener = threading.Thread(target=self.log.extend, args=(self.process.stderr,))
        self._listener.start()

    @property
    def cache(self) -> Path:
        """Where its agents keep their files."""
        return self.folder / "cache" / "dsdeploy"

    @property
    def host_key(self) -> str:
        """Kind and base64 of its public key."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def config(self, alias: str = "target", **options: object) -> str:
        """A block for an SSH client's configuration; options replace or add to what works."""
        known_hosts = self.folder / f"known_hosts_{alias}"
        if not known_hosts.exists():
            known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
        words: dict[str, object] = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "User": getpass.getuser(),
            "IdentityFile": self.folder / "client_key",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": known_hosts,
            "GlobalKnownHostsFile": "none",
            **options,
        }
        return "\n".join([f"Host {alias}", *(f"  {name} {value}" for name, value in words.items())]) + "\n"

    @property
    def logins(self) -> int:
        """How often somebody logged in."""
        return sum("Accepted publickey" in line for line in list(self.log))

    def kill_sessions(self) -> None:
        """End every open connection at once, as a crash would."""
        self._signal_sessions(signal.SIGKILL)

    def freeze_sessions(self) -> None:
        """Let nothing be heard on any open connection from now on; new ones can be made."""
        self._signal_sessions(signal.SIGSTOP)

    def _signal_sessions(self, number: signal.Signals) -> None:
        for pid in _descendants(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """End the server and its connections."""
        self.kill_sessions()
        self.process.terminate()
        self.process.wait()
        assert self.process.stderr is not None
        assert self._listener is not None
        self._listener.join()
        self.process.stderr.close()


def start_sshd(folder: Path, options: Iterable[str]) -> Sshd:
    """Start a server whose keys and files lie in `folder`; it listens when this returns."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host_key", "client_key"):
        make_key(folder / name)
    port = free_port()
    lines = (
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/client_key.pub",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PermitRootLogin yes",
        f"SetEnv XDG_CACHE_HOME={folder}/cache",
        *options,
    )
    config = folder / "sshd_config"
    config.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen((SSHD, "-D", "-e", "-f", str(config)), stderr=subprocess.PIPE, text=True)
    server = Sshd(folder=folder, port=port, process=process)
    server.listen()
    return server


def make_key(path: Path, *, passphrase: str = "") -> Path:
    """Make a key pair at `path` and `path`.pub."""
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", str(path))
    subprocess.run(argv, check=True)
    return path


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def silent_listener() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class Forwarder:
    """Passes connections on to a port, after hanging up on the first few; all can be cut at once."""

    def __init__(self, port: int, *, hang_ups: int = 0) -> None:
        self.accepted = 0
        self.cut_after_bytes: float = float("inf")
        """Set it to cut once the server has sent so much more."""
        self._target = port
        self._hang_ups = hang_ups
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close every connection and listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                if self.accepted <= self._hang_ups:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                threading.Thread(target=_pass_on, args=(client, server, lambda _: None), daemon=True).start()
                threading.Thread(target=_pass_on, args=(server, client, self._count), daemon=True).start()

    def _count(self, size_bytes: int) -> None:
        self.cut_after_bytes -= size_bytes
        if self.cut_after_bytes < 0:
            self.cut()


def _pass_on(source: socket.socket, sink: socket.socket, count: Callable[[int], None]) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
            count(len(piece))
        sink.shutdown(socket.SHUT_WR)


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _descendants(int(child))
            yield int(child)


StartSshd = Callable[..., Sshd]
MakeDialer = Callable[..., Dialer]
