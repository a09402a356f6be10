"""A relay whose disk hangs for a while: it takes so much into memory and no more, and goes on when the disk does."""

from __future__ import annotations

import contextlib
import queue
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from relay_peers import Cargo, RelayAgent, parameters_of

from orchestrator.agent.cache import Cache
from orchestrator.agent.errors import AgentError
from orchestrator.agent.protocol import FrameWriter
from orchestrator.agent.relay import Relay
from orchestrator.agent.request import Request
from orchestrator.fanout.certificates import RunAuthority

pytestmark = pytest.mark.process

PATH = "cache:wheels/aa/x.whl"
MEMORY_BYTES = 8 << 20


class RelayHere:
    """A relay in this process, with its file's lock in our hands: while it is held, the disk hangs."""

    def __init__(self, cargo: Cargo, authority: RunAuthority, home: Path) -> None:
        self.cargo = cargo
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        parameters = parameters_of(cargo, authority, authority.issue("here"), None)
        home.mkdir()
        self.request = Request({"id": 1, "op": "relay", **parameters}, Cache(str(home)), cast("FrameWriter", self))
        self.failure: AgentError | None = None
        self.disk: Any = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.until("ready")

    def write(self, frame: dict[str, Any], _payload: bytes = b"") -> None:
        self.events.put(frame)

    def until(self, name: str) -> dict[str, Any]:
        """Return the next event of this name; none may tell of a lost source."""
        while (frame := self.events.get(timeout=60))["event"] != name:
            assert frame["event"] != "lost", frame
        return frame

    def until_it_holds_no_more(self) -> int:
        """Return what it holds when the next sign of life tells the same."""
        held = -1
        while held != (now := self.until("at")["held_bytes"]) or not now:
            held = now
        return held

    def end(self) -> None:
        self.request.end()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            relay = Relay(self.request, stack)
            self.disk = relay._holding.files[0]._lock
            try:
                relay.run()
            except AgentError as error:
                self.failure = error


@pytest.fixture
def cargo() -> Cargo:
    return Cargo({PATH: random.Random(0).randbytes(30_000_000)}, chunk_bytes=100_000, group=10)


@pytest.fixture
def here(cargo: Cargo, authority: RunAuthority, tmp_path: Path) -> Iterator[RelayHere]:
    relay = RelayHere(cargo, authority, tmp_path / "here")
    yield relay
    relay.end()


def test_a_peer_waits_while_the_disk_hangs_and_is_not_given_up(
    open_agent: Callable[[str], RelayAgent], here: RelayHere, authority: RunAuthority, tmp_path: Path
) -> None:
    seed = open_agent("seed")
    seed.start(here.cargo, authority)
    seed.pieces(here.cargo.stream(seed.feed()))
    order = {"do": "pull", "attempt": 1, "certificate_sha256": seed.credentials.sha256}
    with here.disk:
        here.request.messages.put({**order, "address": "127.0.0.1", "port": seed.ready["port"]}, b"")
        held = here.until_it_holds_no_more()
        assert MEMORY_BYTES <= held <= MEMORY_BYTES + here.cargo.chunk_bytes
        assert [here.until("at")["held_bytes"] for _ in range(4)] == [held] * 4  # longer than a silent peer is borne
    here.until("whole")
    assert (tmp_path / "here" / "wheels" / "aa" / "x.whl").read_bytes() == here.cargo.contents[PATH]


@pytest.mark.parametrize("ends", ["disk", "session"])
def test_the_controller_waits_while_the_disk_hangs(here: RelayHere, tmp_path: Path, ends: str) -> None:
    stream = here.cargo.stream([[0, len(here.cargo.chunks)]])

    def feed() -> None:
        here.request.messages.put({"do": "feed", "attempt": 1}, b"")
        for start in range(0, len(stream), 100_000):
            here.request.messages.put({"do": "piece", "attempt": 1}, stream[start : start + 100_000])

    controller = threading.Thread(target=feed)
    with here.disk:
        controller.start()
        assert MEMORY_BYTES <= here.until_it_holds_no_more() <= MEMORY_BYTES + 200_000
        assert controller.is_alive()
        if ends == "session":
            here.end()
            controller.join()
            assert here.failure is not None
    if ends == "disk":
        here.until("whole")
        controller.join()
        assert (tmp_path / "here" / "wheels" / "aa" / "x.whl").read_bytes() == here.cargo.contents[PATH]
