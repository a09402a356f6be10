"""Connects to one host over SSH and starts the agent's command there: host keys strict, nothing asked."""

from __future__ import annotations

import functools
import itertools
import logging
import random
import shlex
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paramiko import Transport

from orchestrator.model.hosts import Host
from orchestrator.remote.connection import SshConnection
from orchestrator.remote.diagnose_dial import FAULTS, Target, explain, is_worth_retrying
from orchestrator.remote.gateways import Gateways, Route
from orchestrator.remote.host_keys import StrictHostKeys
from orchestrator.remote.identities import KeyAuthentication, KeyFiles
from orchestrator.remote.known_hosts import KnownHosts
from orchestrator.remote.opening import ssh_command
from orchestrator.remote.sockets import open_proxy, open_tcp
from orchestrator.remote.ssh_channel import SshChannel
from orchestrator.remote.ssh_config import load_ssh_config

_RETRIES = 5
_FIRST_PAUSE_S = 0.15
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its tracebacks reach the terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSettings:
    """How hosts are connected to."""

    ssh_config: Path | None = None
    """Instead of the user's and the system's own configuration."""
    accept_new_host_keys: bool = False
    """Trust and remember the key of a host that is not known yet; a changed key is refused all the same."""
    dials: int = 64
    """Connections that are being opened at once."""
    timeout_s: float = 10.0
    """For the TCP connection, then for the server's banner, then for each answer to a key."""


class Dialer:
    """Opens connections. Safe to use from several threads."""

    def __init__(self, settings: DialSettings) -> None:
        """Read the SSH configuration. Raises UsageError when it cannot be read."""
        self._settings = settings
        self._config = load_ssh_config(settings.ssh_config)
        self._known_hosts = KnownHosts()
        self._key_files = KeyFiles()
        self._gateways = Gateways(lambda word, before: self._connect(Host(name=word.removeprefix("ssh://")), before))
        self._turns = threading.BoundedSemaphore(settings.dials)

    def open(self, host: Host) -> SshChannel:
        """Connect and start the agent's command. Raises HostError, with the way out as its hint."""
        with self._turns:
            connection = self._connect(host)
            try:
                channel = connection.transport.open_session(timeout=self._settings.timeout_s)
                channel.exec_command(ssh_command())
            except FAULTS as error:
                connection.close()
                raise explain(error, _target(host, connection)) from error
        return SshChannel(connection, channel)

    def close(self) -> None:
        """Close the connections to jump hosts."""
        self._gateways.close()

    def _connect(self, host: Host, route: Route | None = None) -> SshConnection:
        """Connect, again when the server hung up at once; `route` is given for a jump host behind others."""
        for attempt in itertools.count():
            connection = SshConnection(host.name, user=host.user, port=host.port, config=self._config)
            way = _route_in(connection.options) if route is None else route
            try:
                self._attempt(connection, way)
            except FAULTS as error:
                if attempt == _RETRIES or not is_worth_retrying(error):
                    raise explain(error, _target(host, connection, way)) from error
            else:
                return connection
            time.sleep(_FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - spreads dials only
        raise AssertionError("unreachable: counting has no end")

    def _attempt(self, connection: SshConnection, route: Route) -> None:
        host_keys = self._host_keys(connection)
        connection.open(
            host_keys,
            sock=self._socket(connection, route),
            transport_factory=functools.partial(_transport, host_keys),
            auth_strategy=self._authentication(connection),
            banner_timeout=self._settings.timeout_s,
            auth_timeout=self._settings.timeout_s,
            channel_timeout=self._settings.timeout_s,
        )

    def _socket(self, connection: SshConnection, route: Route) -> Any:  # noqa: ANN401 - a socket, or a channel like one
        options = connection.options
        if route:
            return self._gateways.open_channel(route, (connection.address, connection.port))
        if options.get("proxycommand"):
            return open_proxy(options["proxycommand"])
        family = _FAMILIES.get(options.get("addressfamily", "any"), socket.AF_UNSPEC)
        return open_tcp(connection.address, connection.port, family=family, timeout_s=self._settings.timeout_s)

    def _host_keys(self, connection: SshConnection) -> StrictHostKeys:
        options = connection.options
        user = options.get("userknownhostsfile", _USER_KNOWN_HOSTS)
        system = options.get("globalknownhostsfile", _GLOBAL_KNOWN_HOSTS)
        alias = options.get("hostkeyalias")
        return StrictHostKeys(
            self._known_hosts,
            host=alias or connection.address,
            port=None if alias else connection.port,
            files=tuple(map(_known_hosts_file, shlex.split(f"{user} {system}"))),
            accept_new=self._settings.accept_new_host_keys,
        )

    def _authentication(self, connection: SshConnection) -> KeyAuthentication:
        options = connection.options
        return KeyAuthentication(
            user=connection.user,
            files=tuple(options.get("identityfile", ())),
            only_files=options.get("identitiesonly", "no").lower() == "yes",
            loaded=self._key_files,
        )


def _target(host: Host, connection: SshConnection, route: Route = ()) -> Target:
    return Target(name=host.name, address=connection.address, port=connection.port, user=connection.user, route=route)


def _known_hosts_file(word: str) -> Path:
    return Path("/dev/null" if word == "none" else word).expanduser()


def _route_in(options: Mapping[str, Any]) -> Route:
    jumps = options.get("proxyjump", "none")
    return () if jumps.lower() == "none" else tuple(word.strip() for word in jumps.split(","))


def _transport(host_keys: StrictHostKeys, sock: socket.socket, disabled_algorithms: Mapping[str, Any]) -> Transport:
    transport = Transport(sock, disabled_algorithms=disabled_algorithms)
    security = transport.get_security_options()
    security.key_types = host_keys.preferred(tuple(security.key_types))
    # A quarter less CPU per byte than what paramiko prefers.
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "gcm" not in name))
    return transport
