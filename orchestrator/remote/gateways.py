"""Shares connections to jump hosts: one carries several hosts, but never many.

A jump host dropped a connection that carried 16 channels at once, and one connection per host runs into its
MaxStartups: so 8 hosts share one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from paramiko import Channel, SSHException

from orchestrator.errors import HostError
from orchestrator.remote.connection import SshConnection

Route = tuple[str, ...]
"""Jump hosts as ProxyJump names them, the first one first."""

_CHANNELS_EACH = 8
_ATTEMPTS = 3


@dataclass(slots=True)
class _Gateway:
    """One connection to the last host of a route."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    channels: int = 0
    connection: SshConnection | None = None
    failure: HostError | None = None

    @property
    def has_room(self) -> bool:
        """Whether one more host may use it."""
        is_alive = self.connection is None or self.connection.is_open
        return is_alive and self.channels < _CHANNELS_EACH


class Gateways:
    """The connections to jump hosts of one run. Safe to use from several threads."""

    def __init__(self, connect: Callable[[str, Route], SshConnection]) -> None:
        """Connect by `connect(host, route before it)`, which raises HostError."""
        self._connect = connect
        self._gateways: dict[Route, list[_Gateway]] = {}
        self._lock = threading.Lock()

    def open_channel(self, route: Route, address: tuple[str, int]) -> Channel:
        """Return a byte channel to `address` from the last host of the route.

        Raises HostError when that host cannot be connected to, SSHException when it cannot reach the address.
        """
        for _ in range(_ATTEMPTS):
            transport = self._lease(route).transport
            try:
                return transport.open_channel("direct-tcpip", address, ("", 0))
            except (EOFError, SSHException) as error:
                if transport.is_active():  # it speaks of the address, not of the jump host
                    raise
                failure = error
        raise failure

    def _lease(self, route: Route) -> SshConnection:
        """Return a connection that has room for one more channel; opened now when it is new."""
        with self._lock:
            shared = self._gateways.setdefault(route, [])
            gateway = next((gateway for gateway in shared if gateway.has_room), None)
            if gateway is None:
                gateway = _Gateway()
                shared.append(gateway)
            gateway.channels += 1
        with gateway.lock:
            if gateway.failure is not None:
                raise HostError(gateway.failure.message, hint=gateway.failure.hint)
            if gateway.connection is None:
                gateway.connection = self._open(gateway, route)
            return gateway.connection

    def _open(self, gateway: _Gateway, route: Route) -> SshConnection:
        *before, last = route
        try:
            return self._connect(last, tuple(before))
        except HostError as error:
            gateway.failure = error
            raise

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            gateways = [gateway for shared in self._gateways.values() for gateway in shared]
            self._gateways.clear()
        for gateway in gateways:
            if gateway.connection is not None:
                gateway.connection.close()
