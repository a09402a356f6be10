"""Starts the agent at the far end of a fresh channel and greets it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.agent.packing import PackedAgent
from orchestrator.errors import HostError
from orchestrator.remote.channels import Channel
from orchestrator.remote.frames import Frame
from orchestrator.remote.session import AgentSession
from orchestrator.remote.wire import ConnectionLostError, Exchange, Wire

_PROTOCOL = 1
_START_TIMEOUT_S = 30.0
"""From the command to the greeting: a cold Python on a slow network home takes seconds."""

_TOO_OLD = 86
_READ_BOOTSTRAP = f"import sys; sys.version_info < (3, 8) and sys.exit({_TOO_OLD}); exec(sys.stdin.buffer.readline())"
_PYTHON_OPTIONS = ("-I", "-S", "-X", "utf8", "-u")
"""Nothing of the account's own Python set-up takes part, and no site-packages: 8 ms instead of 11 to start."""
_CANDIDATES = (
    "/usr/bin/python3",  # before what PATH names: a pyenv shim takes 0.1 s to start
    "python3",
    *(f"python3.{minor}" for minor in range(14, 7, -1)),
    "/opt/conda/bin/python3",  # PyTorch's images have no other
)


def ssh_command(candidates: Sequence[str] = _CANDIDATES) -> str:
    """Return the one command that is ever executed over SSH: a constant, with nothing of a hostfile in it.

    The first line of its input may name one more interpreter, tried last.
    """
    return (
        "sh -c '"
        "read -r wanted; old=false; "
        f'for python in {" ".join(candidates)} "$wanted"; do '
        'command -v "$python" >/dev/null 2>&1 || continue; '
        f'"$python" {" ".join(_PYTHON_OPTIONS)} -c "{_READ_BOOTSTRAP}"; code=$?; '
        f"[ $code -eq {_TOO_OLD} ] || exit $code; old=true; "
        "done; "
        'echo "{\\"event\\":\\"no-python\\",\\"too_old\\":$old}"; exit 127'
        "'"
    )


def local_command(python: str) -> Sequence[str]:
    """Return the argv that starts an agent on this machine."""
    return (python, *_PYTHON_OPTIONS, "-c", _READ_BOOTSTRAP)


def open_session(host: str, channel: Channel, agent: PackedAgent, *, preamble: bytes = b"") -> AgentSession:
    """Start the agent and return its session; the channel is closed on failure.

    `preamble` is sent before the bootstrap: the line that `ssh_command` reads for itself.
    Raises HostError when there is no Python to run the agent, or it does not answer.
    """
    wire = Wire(host, channel)
    try:
        with wire.exchange() as greeting:
            wire.start()
            _greet(wire, greeting, agent, preamble)
    except BaseException:
        wire.close()
        raise
    return AgentSession(wire)


def _greet(wire: Wire, greeting: Exchange, agent: PackedAgent, preamble: bytes) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    try:
        wire.send_raw(preamble + agent.first_line)
        offer = _expect("agent", greeting.next(deadline=deadline), wire)
        if not offer.header.get("have"):
            wire.send_raw(agent.content)
        hello = _expect("hello", greeting.next(deadline=deadline), wire)
    except TimeoutError as error:
        message = f"the agent on {wire.host} did not start within {_START_TIMEOUT_S:.0f} s"
        raise HostError(message, hint="is the host overloaded, or its home folder hanging?") from error
    except ConnectionLostError as error:
        raise _no_agent(wire, error) from error
    if hello.header.get("protocol") != _PROTOCOL:
        raise HostError(f"the agent on {wire.host} speaks another protocol: {hello.header}")


def _expect(event: str, frame: Frame, wire: Wire) -> Frame:
    if frame.header.get("event") == "no-python":
        raise _no_python(wire.host, is_too_old=bool(frame.header.get("too_old")))
    if "error" in frame.header or frame.header.get("event") != event:
        raise HostError(f"the agent on {wire.host} did not start: {frame.header.get('error', frame.header)}")
    return frame


def _no_python(host: str, *, is_too_old: bool) -> HostError:
    found = "only Pythons older than 3.8" if is_too_old else "no Python 3"
    hint = "install python3 (3.8 or newer) there, or name an interpreter with python=/path in the hostfile"
    return HostError(f"{host} has {found} on its PATH", hint=hint)


def _no_agent(wire: Wire, error: ConnectionLostError) -> HostError:
    """Explain a channel that ended before the greeting by what came over it instead."""
    if not wire.noise:
        return error
    hint = "is it a forced command, a disabled account, or a login script that ends the session?"
    return HostError(f"{wire.host} started no agent, it said: {wire.noise[-1]}", hint=hint)
