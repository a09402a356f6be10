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


def wire_to(source: str) -> Wire:
    wire = Wire("frozen", ProcessChannel((sys.executable, "-c", source)), patience_s=0.3)
    wire.start()
    return wire


def test_an_agent_that_says_nothing_is_given_up() -> None:
    wire = wire_to("import sys; sys.stdin.read()")
    with wire.exchange() as exchange, pytest.raises(ConnectionLostError, match="frozen"):
        exchange.next()
    wire.close()


def test_an_agent_that_answers_pings_is_waited_for() -> None:
    wire = wire_to(ECHO_FRAMES)
    with wire.exchange() as exchange, pytest.raises(TimeoutError):
        exchange.next(deadline=time.monotonic() + 1.5)
    wire.close()


def test_a_silence_while_nothing_was_asked_is_no_silence() -> None:
    wire = wire_to(ECHO_FRAMES)
    for _ in range(2):
        with wire.exchange() as exchange:
            wire.send({"id": exchange.number, "event": "echo"})
            assert exchange.next().header["event"] == "echo"
        time.sleep(0.5)
    wire.close()
