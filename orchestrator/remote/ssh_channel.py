"""The one SSH channel of a host, as a Channel of an agent."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable

from paramiko import Channel as ParamikoChannel
from paramiko import SSHException

from orchestrator.remote.channels import WORDS_BYTES, last_line
from orchestrator.remote.connection import SshConnection

_STUCK_S = 45.0
"""A host that takes no byte for so long is given up."""
_PIECE_BYTES = 4096
_PACKET_BYTES = 32 * 1024
"""What OpenSSH takes in one packet."""


class SshChannel:
    """An executed command, and the connection that it ends with."""

    def __init__(self, connection: SshConnection, channel: ParamikoChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._channel.settimeout(_STUCK_S)
        self._errors: deque[bytes] = deque(maxlen=WORDS_BYTES // _PIECE_BYTES)
        # Read at once: both streams share one window, and an unread one would stop the other.
        self._listener = threading.Thread(target=self._listen, name="errors of an agent", daemon=True)
        self._listener.start()

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
        return _wait_for(self._channel.recv, limit)

    def end_input(self) -> None:
        """Close the agent's standard input."""
        with contextlib.suppress(OSError, EOFError, SSHException):
            self._channel.shutdown_write()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def last_words(self) -> str:
        """The last line on standard error, else what broke the connection."""
        return last_line(b"".join(self._errors)) or str(self._connection.transport.get_exception() or "")

    def _listen(self) -> None:
        while piece := _wait_for(self._channel.recv_stderr, _PIECE_BYTES):
            self._errors.append(piece)


def _wait_for(receive: Callable[[int], bytes], limit: int) -> bytes:
    while True:
        try:
            return receive(limit)
        except TimeoutError:
            continue
        except OSError:
            return b""
