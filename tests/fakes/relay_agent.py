"""One simulated agent: greets, answers pings, relays, and dies when its nature says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fakes.relay_channel import MemoryChannel
from fakes.relay_nature import Death, Nature
from fakes.relay_transfer import Feed, Relay

if TYPE_CHECKING:
    from fakes.relay_world import RelayWorld

_GIVEN_UP_S = 7.0
"""What TCP needs to give up a connection whose packets are lost (TCP_USER_TIMEOUT)."""


class SimulatedAgent:
    """The far end of one session, with the host that it runs on."""

    def __init__(self, world: RelayWorld, host: str, address: str, nature: Nature) -> None:
        self.world = world
        self.host = host
        self.address = address
        self.nature = nature
        self.channel = MemoryChannel()
        self.relays: dict[int, Relay] = {}
        """What runs, by request number."""
        self.relayed: list[Relay] = []
        """What ever ran."""
        self.death: Death | None = None
        self.died_s = 0.0
        self._input = bytearray()
        self._lines_before_frames = 2
        """One is for the shell, one for the bootstrap."""

    def turn(self, now: float, limit: int) -> None:
        """Read at most `limit` bytes, and do what is due by now."""
        if self.death is not None:
            if self.death is Death.CUT and now - self.died_s >= _GIVEN_UP_S:
                self.channel.end("Connection timed out")
            return
        if self.channel.has_hung_up:
            self._end_relays()
            self.channel.end()
            return
        piece = self.channel.take(limit)
        if piece:
            self._input += piece
            self._read()
        for relay in list(self.relays.values()):
            if self.nature.dies_at > 0 or self.nature.death is None:
                relay.turn(now)
            if relay.is_over:
                del self.relays[relay.number]
            else:
                self._die_if_due(relay, now)

    def say(self, frame: Mapping[str, Any]) -> None:
        if frame.get("event") != "at":
            self.world.story.append((self.world.now, self.host, frame))
        self.channel.put(json.dumps(frame).encode() + b"\n")

    def complain(self, text: str) -> None:
        """Note what a controller must never do."""
        self.world.complaints.append(f"{self.host} {text}")

    @property
    def is_fed(self) -> bool:
        """Whether the controller sends to it."""
        return any(isinstance(relay.source, Feed) for relay in self.relays.values())

    def _die_if_due(self, relay: Relay, now: float) -> None:
        nature = self.nature
        is_due = relay.whole_s is not None if nature.dies_at == 1 else relay.share >= nature.dies_at
        if nature.death is None or not is_due:
            return
        self.death, self.died_s = nature.death, now
        if self.death is Death.KILLED:
            self._end_relays()
            self.channel.end("Killed")
        for each in self.relays.values():
            each.leave()

    def _end_relays(self) -> None:
        for relay in self.relays.values():
            relay.end()

    def _read(self) -> None:
        while (end := self._input.find(b"\n")) >= 0:
            line = self._input[:end]
            if self._lines_before_frames:
                del self._input[: end + 1]
                self._lines_before_frames -= 1
                if not self._lines_before_frames:
                    self._greet()
                continue
            frame = json.loads(line)
            size = frame.get("bytes", 0)
            if len(self._input) < end + 1 + size:
                return
            payload = bytes(self._input[end + 1 : end + 1 + size])
            del self._input[: end + 1 + size]
            self._take(frame, payload)

    def _greet(self) -> None:
        self.say({"event": "agent", "have": True})
        self.say({"event": "hello", "protocol": 1, "host": self.host})

    def _take(self, frame: Mapping[str, Any], payload: bytes) -> None:
        number = frame["id"]
        if "tell" in frame:
            self._pass_on(number, frame["tell"], payload)
            return
        match frame["op"]:
            case "ping":
                self.say({"id": number, "result": {}})
            case "relay":
                self.relays[number] = Relay(self, number, frame)
                self.relayed.append(self.relays[number])
            case "cancel":
                relay = self.relays.get(frame["target"])
                if relay is not None and not relay.is_over:
                    relay.refuse("host", "relay was cancelled")
                self.say({"id": number, "result": {}})
            case operation:
                self.complain(f"was asked for {operation}")
                self.say({"id": number, "error": {"kind": "usage", "message": f"no operation {operation}"}})

    def _pass_on(self, number: int, message: Mapping[str, Any], payload: bytes) -> None:
        relay = self.relays.get(number)
        if relay is None or relay.is_over:
            return
        if message["do"] != "piece":
            self.world.story.append((self.world.now, self.host, message))
        relay.take(message, payload)
