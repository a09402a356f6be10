"""Hundreds of simulated hosts in one thread, for the real controller to send files to.

Time is counted, not measured: it goes on by `tick_s` a turn, and waits for a controller that has yet to read what the
hosts said, or to look at the clock. So the load of this machine changes no verdict.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from fakes.relay_agent import SimulatedAgent
from fakes.relay_channel import MemoryChannel
from fakes.relay_nature import Nature
from fakes.relay_transfer import Relay

from orchestrator.errors import HostError
from orchestrator.model.hosts import Host

_PAUSE_S = 0.001
_MOST_WAIT_S = 0.1
"""Real time that one turn may be put off: a controller that waits for hosts must not stop them."""
_AHEAD_S = 1.0
"""How much further time may be than when the controller last looked."""
_FIRST_PORT = 20000
_ENDS_S = 200.0
"""When this world ends, and every session with it: a fan-out that waits for ever fails, instead of its test hanging."""


class RelayWorld:
    """Hosts by name; runs within its `with` block."""

    def __init__(self, natures: Mapping[str, Nature], *, controller_rate: float = 100e6, tick_s: float = 0.05) -> None:
        self.now = 0.0
        self.tick_s = tick_s
        self.listeners: dict[tuple[str, int], Relay] = {}
        self.whole_on: set[tuple[str, ...]] = set()
        """File systems, each with the paths of files that it holds."""
        self.story: list[tuple[float, str, Mapping[str, Any]]] = []
        """All that hosts said and were told, but for bytes and how many: when, which host, what."""
        self.complaints: list[str] = []
        """What the controller did that no controller may do."""
        self.agents = {
            host: SimulatedAgent(self, host, f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", nature)
            for index, (host, nature) in enumerate(natures.items())
        }
        self._by_address = {agent.address: agent for agent in self.agents.values()}
        self._rate = controller_rate
        self._ports = itertools.count(_FIRST_PORT)
        self._opened: list[SimulatedAgent] = []
        self._looked = 0.0
        self._error: BaseException | None = None
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="relay world", daemon=True)

    def __enter__(self) -> RelayWorld:  # noqa: PYI034 - `Self` is in typing since Python 3.11
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._is_stopped = True
        self._thread.join()
        if self._error is not None:
            raise self._error

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(Host(name=name) for name in self.agents)

    def open_channel(self, host: Host) -> MemoryChannel:
        """Connect to a host, as SshFleet wants it."""
        agent = self.agents[host.name]
        if not agent.nature.is_reachable:
            raise HostError(f"there is no route to {host.name}")
        self._opened.append(agent)
        return agent.channel

    def clock(self) -> float:
        """Return the time in this world, for the controller."""
        self._looked = self.now
        return self.now

    def said(self, host: str, event: str) -> list[Mapping[str, Any]]:
        """Return a host's events of one name."""
        return [frame for _, who, frame in self.story if who == host and frame.get("event") == event]

    def told(self, host: str, *words: str) -> list[tuple[float, Mapping[str, Any]]]:
        """Return when a host was told these words, and with what."""
        return [(when, message) for when, who, message in self.story if who == host and message.get("do") in words]

    def at(self, address: str) -> SimulatedAgent:
        return self._by_address[address]

    def listen(self, relay: Relay, ports: Sequence[int] | None) -> int:
        """Open a port for a relay, the first one of `ports` or any."""
        port = ports[0] if ports else next(self._ports)
        self.listeners[relay.agent.address, port] = relay
        return port

    def _run(self) -> None:
        try:
            while not self._is_stopped and self.now < _ENDS_S:
                self._let_the_controller_catch_up()
                self.now += self.tick_s
                self._turn()
        except BaseException as error:  # noqa: BLE001 - raised at the end of the block
            self._error = error
        for agent in self._opened:
            agent.channel.end("the world has ended")

    def _let_the_controller_catch_up(self) -> None:
        until = time.monotonic() + _MOST_WAIT_S
        time.sleep(_PAUSE_S)
        while self._is_ahead() and time.monotonic() < until:
            time.sleep(_PAUSE_S)

    def _is_ahead(self) -> bool:
        is_looked_at = self._looked > 0 and any(agent.relays for agent in self._opened)
        if is_looked_at and self.now - self._looked > _AHEAD_S:
            return True
        return any(agent.channel.is_unread or not agent.relayed for agent in self._opened)

    def _turn(self) -> None:
        fed = sum(agent.is_fed for agent in self._opened)
        share = self._rate / max(fed, 1)
        for agent in list(self._opened):
            agent.turn(self.now, int(min(agent.nature.rate, share) * self.tick_s))
