"""The one SSH channel of a host, as a Channel of an agent."""

from __future__ import annotations

import contextlib
import threading

from paramiko import Channel as ParamikoChannel
from paramiko import SSHException

from orchestrator.remote.channels import WORDS_BYTES, last_line
from orchestrator.remote.connection import SshConnection

_STUCK_S = 45.0
"""A host that takes no byte for so long is given up."""
_PACKET_BYTES = 32 * 1024
"""What OpenSSH takes in one packet."""
_BROKEN = (OSError, EOFError, SSHException)
"""What paramiko raises when the connection is gone: a `recv` too, which sends what it has room for."""


class SshChannel:
    """An executed command, and the connection that it ends with."""

    def __init__(self, connection: SshConnection, channel: ParamikoChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._channel.settimeout(_STUCK_S)
        self._errors = b""
        self._errors_lock = threading.Lock()
        # Both streams share one window: errors that nobody reads would one day stop the other.
        self._has_news = threading.Event()
        channel.in_buffer.set_event(self._has_news)
        channel.in_stderr_buffer.set_event(self._has_news)

    def send(self, content: bytes) -> None:
        """Send all of it. Raises OSError once the channel is broken, or stuck for 45 s."""
        rest = memoryview(content)
        try:
            while rest:
                sent_bytes = self._channel.send(rest[:_PACKET_BYTES].tobytes())
                if sent_bytes == 0:  # paramiko's `sendall` would spin here
                    raise BrokenPipeError("its input is closed")
                rest = rest[sent_bytes:]
        except TimeoutError as error:
            raise ConnectionError(f"it took nothing for {_STUCK_S:.0f} s") from error
        except (EOFError, SSHException) as error:
            raise ConnectionError(str(error)) from error

    def receive(self, limit: int) -> bytes:
        """Wait for bytes; none at the end."""
        while True:
            if self._channel.recv_ready() or self._channel.eof_received or self._channel.closed:
                try:
                    return self._channel.recv(limit)
                except _BROKEN:
                    return b""
            if self._channel.recv_stderr_ready():
                self._hear_errors()
            else:
                self._has_news.wait()

    def end_input(self) -> None:
        """Close the agent's standard input."""
        with contextlib.suppress(*_BROKEN):
            self._channel.shutdown_write()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def last_words(self) -> str:
        """The last line on standard error, else what broke the connection."""
        self._hear_errors()
        return last_line(self._errors) or str(self._connection.transport.get_exception() or "")

    def _hear_errors(self) -> None:
        """Keep the end of what came on standard error; waits for nothing."""
        with self._errors_lock, contextlib.suppress(*_BROKEN):
            while self._channel.recv_stderr_ready():
                self._errors = (self._errors + self._channel.recv_stderr(WORDS_BYTES))[-WORDS_BYTES:]
