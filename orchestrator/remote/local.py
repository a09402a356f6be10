"""The agent on the controller itself: the same program, on a socket pair instead of SSH."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from orchestrator.agent.packing import PackedAgent, pack
from orchestrator.remote.channels import WORDS_BYTES, last_line
from orchestrator.remote.opening import local_command, open_session
from orchestrator.remote.session import AgentSession

CONTROLLER = "controller"
"""What the local machine is called where a host's name is wanted."""
_END_S = 30.0
"""To clean up: a build leaves a large workspace."""


def open_local(*, python: str = sys.executable, agent: PackedAgent | None = None) -> AgentSession:
    """Start an agent on this machine and return its session; close it at the end.

    Raises HostError when it does not start.
    """
    return open_session(CONTROLLER, ProcessChannel(local_command(python)), agent or pack())


class ProcessChannel:
    """The standard streams of a local process, as a Channel."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        with theirs:
            self._process = subprocess.Popen(
                argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is for us: the agent cleans up when its input ends
            )

    def send(self, content: bytes) -> None:
        """Send all of it. Raises OSError once the agent is gone."""
        self._socket.sendall(content)

    def receive(self, limit: int) -> bytes:
        """Wait for bytes; none at the end."""
        with contextlib.suppress(OSError):
            return self._socket.recv(limit)
        return b""

    def end_input(self) -> None:
        """Close the agent's standard input."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Wait for the agent's end, for at most 30 s; then end it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()
        self._errors.close()

    @property
    def last_words(self) -> str:
        """The last line on standard error."""
        with contextlib.suppress(ValueError):  # it was closed
            start = max(os.fstat(self._errors.fileno()).st_size - WORDS_BYTES, 0)
            return last_line(os.pread(self._errors.fileno(), WORDS_BYTES, start))
        return ""
