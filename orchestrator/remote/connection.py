"""One SSH connection: fabric's, with the types that fabric does not state."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Any

from fabric.config import Config
from fabric.connection import Connection
from paramiko import MissingHostKeyPolicy, SSHClient, SSHConfig, Transport

_KEEPALIVE_S = 15
_IDLE_S = 5.0
"""How long paramiko's thread sleeps when nothing comes; its own 0.1 s cost a thousand idle hosts half a core."""


class SshConnection:
    """A host as the SSH configuration sees it, and the connection to it once it is open."""

    def __init__(self, word: str, *, user: str | None, port: int | None, config: SSHConfig) -> None:
        """Look up `word`, which may be `user@host:port`; `user` and `port` win over the configuration."""
        self._fabric = _look_up(word, user=user, port=port, config=config)
        self.address: str = self._fabric.host
        self.port: int = self._fabric.port
        self.user: str = self._fabric.user
        self.options: Mapping[str, Any] = self._fabric.ssh_config
        """The configuration's entries for this host, by lower-case keyword."""

    def open(self, host_keys: MissingHostKeyPolicy, **options: Any) -> None:  # noqa: ANN401 - as SSHClient.connect
        """Connect with these options of `SSHClient.connect`. Raises OSError, EOFError or SSHException."""
        client: SSHClient = self._fabric.client
        client.set_missing_host_key_policy(host_keys)
        self._fabric.connect_kwargs = options
        try:
            self._fabric.open()
        except BaseException:
            client.close()
            raise
        self.transport.set_keepalive(_KEEPALIVE_S)
        self.transport.sock.settimeout(_IDLE_S)

    @property
    def transport(self) -> Transport:
        """The open connection's transport."""
        transport: Transport = self._fabric.transport
        return transport

    @property
    def is_open(self) -> bool:
        """Whether it is connected now."""
        return bool(self._fabric.is_connected)

    def close(self) -> None:
        """Close it; harmless when it is not open."""
        if self.is_open:
            with contextlib.suppress(OSError):
                self.transport.sock.shutdown(socket.SHUT_RDWR)  # wakes its thread
        self._fabric.client.close()


def _look_up(word: str, *, user: str | None, port: int | None, config: SSHConfig) -> Any:  # noqa: ANN401
    return Connection(  # type: ignore[no-untyped-call]
        word,
        user=user,
        port=port,
        config=Config(lazy=True, ssh_config=config),  # type: ignore[no-untyped-call]
        gateway=False,  # jump hosts are ours: fabric's would trust any host key
    )
