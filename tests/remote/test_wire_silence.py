"""A host that freezes: the connection stands, and nothing comes over it."""

from __future__ import annotations

import sys
import time

import pytest

from orchestrator.remote.local import ProcessChannel
from orchestrator.remote.wire import ConnectionLostError, Wire

ECHO_FRAMES = """
import sys
for line in sys.stdin:
    print(line, end="", flush=True)
"""


PATIENCE_S = 0.9


def wire_to(source: str) -> Wire:
    wire = Wire("frozen", ProcessChannel((sys.executable, "-I", "-S", "-c", source)), patience_s=PATIENCE_S)
    wire.start()
    return wire


def echo(wire: Wire) -> None:
    with wire.exchange() as exchange:
        wire.send({"id": exchange.number, "event": "echo"})
        deadline = time.monotonic() + 60
        assert exchange.next(deadline=deadline).header["event"] == "echo"


def test_an_agent_that_says_nothing_is_given_up() -> None:
    wire = wire_to("import sys; sys.stdin.read()")
    with wire.exchange() as exchange, pytest.raises(ConnectionLostError, match="frozen"):
        exchange.next()
    wire.close()


def test_an_agent_that_answers_pings_is_waited_for() -> None:
    wire = wire_to(ECHO_FRAMES)
    echo(wire)
    with wire.exchange() as exchange, pytest.raises(TimeoutError):
        exchange.next(deadline=time.monotonic() + 1.5 * PATIENCE_S)
    wire.close()


def test_a_silence_while_nothing_was_asked_is_no_silence() -> None:
    wire = wire_to(ECHO_FRAMES)
    echo(wire)
    time.sleep(1.2 * PATIENCE_S)  # the time itself is what is tested
    echo(wire)
    wire.close()
