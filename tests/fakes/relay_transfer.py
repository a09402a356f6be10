"""The operation `relay` of a simulated agent: chunks are only counted between peers, but really fed."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.relay_layout import Layout, StreamReader
from fakes.relay_pull import Pull

if TYPE_CHECKING:
    from fakes.relay_agent import SimulatedAgent

_SIGN_OF_LIFE_S = 1.0


@dataclass(slots=True)
class Feed:
    """What the controller sends."""

    attempt: int
    reader: StreamReader


class Relay:
    """One cargo at one host."""

    def __init__(self, agent: SimulatedAgent, number: int, request: Mapping[str, Any]) -> None:
        self.agent = agent
        self.number = number
        self.layout = Layout(request)
        self.held = bytearray(len(self.layout.sizes))
        """1 for each chunk that is held."""
        self.held_bytes = 0
        self.received_bytes = 0
        self.served_bytes = 0
        self.port: int | None = None
        self.children: set[Relay] = set()
        self.source: Pull | Feed | None = None
        self.whole_s: float | None = None
        """When every file was under its final name."""
        self.is_over = False
        self.identity = (request["tls"]["authority"], _fingerprint(request["tls"]["certificate"]))
        filesystem = agent.nature.filesystem or f"{agent.host}'s own"
        self._place = (filesystem, *(file["path"] for file in request["files"]))
        self._attempt = 0
        self._ports = request["ports"]
        self._tell_every_s: float = request["tell_every_s"]
        self._ready_s = agent.world.now + agent.nature.ready_after_s
        self._is_ready = False
        self._told = (-1, -1)
        self._told_s = 0.0

    @property
    def is_whole(self) -> bool:
        return self.held_bytes == self.layout.total_bytes

    @property
    def share(self) -> float:
        return self.held_bytes / self.layout.total_bytes if self.layout.total_bytes else 1.0

    def turn(self, now: float) -> None:
        """Do what is due by now."""
        if not self._is_ready:
            if now >= self._ready_s:
                self._begin()
            return
        if isinstance(self.source, Pull) and (reason := self.source.turn(now)) is not None:
            self._lose(reason)
        if not self.is_over:
            self._tell(now)

    def take(self, message: Mapping[str, Any], payload: bytes) -> None:
        """Do what the controller says."""
        match message["do"]:
            case "pull":
                self._turn_to(Pull(self, message))
            case "feed":
                wanted = self.lacking()
                self._turn_to(Feed(message["attempt"], StreamReader(self.layout, wanted)))
                self.event("wants", attempt=message["attempt"], ranges=_ranges(wanted))
            case "piece":
                self._eat(message["attempt"], payload)
            case "look":
                self._look()
                self._say_ready()
            case "listen":
                self._listen()
                self._say_ready()
            case "finish":
                result = {name: getattr(self, name) for name in ("held_bytes", "received_bytes", "served_bytes")}
                self.end()
                self.agent.say({"id": self.number, "result": result})
            case _:
                self.agent.complain(f"was told {message}")

    def end(self) -> None:
        """Stop to take, to listen and to serve."""
        self.is_over = True
        self.leave()
        self.agent.world.listeners.pop((self.agent.address, self.port or 0), None)

    def leave(self) -> None:
        """Take from nobody."""
        if isinstance(self.source, Pull):
            self.source.close()
        self.source = None

    def rate_to(self, child: Relay) -> float:
        """Return the bytes per second for one child: what slower ones leave of this host's link, in equal parts."""
        left = self.agent.nature.rate
        rates = sorted(each.agent.nature.rate for each in self.children)
        for place, rate in enumerate(rates):
            fair = left / (len(rates) - place)
            if rate >= fair:
                return min(fair, child.agent.nature.rate)
            left -= rate
        return child.agent.nature.rate

    def refuse(self, kind: str, message: str) -> None:
        self.end()
        self.agent.say({"id": self.number, "error": {"kind": kind, "message": message}})

    def event(self, name: str, **fields: Any) -> None:
        self.agent.say({"id": self.number, "event": name, **fields})

    def lacking(self) -> list[int]:
        return [chunk for chunk, is_held in enumerate(self.held) if not is_held]

    def _begin(self) -> None:
        self._is_ready = True
        nature = self.agent.nature
        if nature.disk is not None and nature.is_disk_foreseen:
            self.refuse("transfer", f"there is no room on {self.agent.host}")
            return
        for chunk in range(int(nature.held * len(self.held))):
            self._keep(chunk)
        self._look()
        if not self.is_whole:
            self._listen()
        self._say_ready()

    def _look(self) -> None:
        nature = self.agent.nature
        if self._place in self.agent.world.whole_on and nature.sees_shared:
            self.leave()
            self.held[:] = b"\1" * len(self.held)
            self.held_bytes = self.layout.total_bytes

    def _listen(self) -> None:
        if self.port is None and self.agent.nature.has_port:
            self.port = self.agent.world.listen(self, self._ports)

    def _say_ready(self) -> None:
        self.event(
            "ready",
            held_bytes=self.held_bytes,
            total_bytes=self.layout.total_bytes,
            address=self.agent.address,
            port=self.port,
            port_error=None if self.agent.nature.has_port else "no port is free",
            filesystem_id=self._place[0],
        )

    def _turn_to(self, source: Pull | Feed) -> None:
        if source.attempt <= self._attempt:
            self.agent.complain(f"was told attempt {source.attempt} after {self._attempt}")
        self._attempt = source.attempt
        self.leave()
        self.source = source

    def _lose(self, reason: str) -> None:
        assert self.source is not None
        attempt = self.source.attempt
        self.leave()
        self.event("lost", attempt=attempt, reason=reason, text=f"simulated: {reason}")

    def _eat(self, attempt: int, payload: bytes) -> None:
        if not isinstance(self.source, Feed) or self.source.attempt != attempt:
            return
        try:
            for chunk in self.source.reader.read(payload):
                self.receive(chunk)
                if self.is_over or self.is_whole:
                    return
        except ValueError as error:
            self.agent.complain(str(error))
            self._lose("wrong-bytes")

    def receive(self, chunk: int) -> None:
        disk = self.agent.nature.disk
        if disk is not None and self.share >= disk:
            self.refuse("transfer", f"there is no room left on {self.agent.host}")
            return
        self.received_bytes += self.layout.sizes[chunk]
        self._keep(chunk)

    def _keep(self, chunk: int) -> None:
        self.held[chunk] = 1
        self.held_bytes += self.layout.sizes[chunk]

    def _tell(self, now: float) -> None:
        is_new = self.is_whole and self.whole_s is None
        amounts = (self.held_bytes, self.served_bytes)
        due_s = _SIGN_OF_LIFE_S if amounts == self._told else self._tell_every_s
        if is_new or now - self._told_s >= due_s:
            self._told, self._told_s = amounts, now
            self.event("at", held_bytes=amounts[0], served_bytes=amounts[1])
        if is_new:
            self.whole_s = now
            self.leave()
            self.agent.world.whole_on.add(self._place)
            self.event("whole")


def _ranges(chunks: list[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for chunk in chunks:
        if ranges and ranges[-1][1] == chunk:
            ranges[-1][1] += 1
        else:
            ranges.append([chunk, chunk + 1])
    return ranges


def _fingerprint(certificate_pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate_pem)).hexdigest()
