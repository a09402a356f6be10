"""Opens the socket that an SSH connection runs over: TCP that notices a dead peer, or a proxy command."""

from __future__ import annotations

import socket
import subprocess
import time

_KEEPALIVE_IDLE_S = 2
_KEEPALIVE_INTERVAL_S = 2
_KEEPALIVE_PROBES = 3
_UNACKNOWLEDGED_MS = 6000
_PROXY_END_S = 1.0


def open_tcp(host: str, port: int, *, family: socket.AddressFamily, timeout_s: float) -> socket.socket:
    """Connect to the first of the name's addresses that answers; all of them together get `timeout_s`.

    Raises OSError: what the last address said; socket.gaierror when the name does not resolve.
    """
    deadline = time.monotonic() + timeout_s
    addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    failure = OSError(f"{host} has no address")
    for number, (kind, _, _, _, address) in enumerate(addresses):
        share_s = (deadline - time.monotonic()) / (len(addresses) - number)
        connection = socket.socket(kind, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(share_s, 0.1))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            _watch(connection)
            return connection
    raise failure


def _watch(connection: socket.socket) -> None:
    """Notice within 8 s that the other end is gone: SSH's own keepalive alone takes minutes."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)


class ProxySocket(socket.socket):
    """Our end of the pair that a ProxyCommand serves; closing it ends the command."""

    process: subprocess.Popen[bytes]

    def close(self) -> None:
        """Close our end; the command gets 1 s to end by itself."""
        super().close()
        try:
            self.process.wait(_PROXY_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def open_proxy(command: str) -> ProxySocket:
    """Start a ProxyCommand and return the socket that it serves.

    The text is the user's own shell command, executed as ssh_config(5) says. paramiko's ProxyCommand is not
    used: it does not notice that the command has ended.
    """
    ours, theirs = socket.socketpair()
    proxy = ProxySocket(fileno=ours.detach())
    with theirs:
        argv = ("sh", "-c", f"exec {command}")
        proxy.process = subprocess.Popen(argv, stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True)
    return proxy
