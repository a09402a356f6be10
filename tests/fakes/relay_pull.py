"""How a simulated host takes chunks from another one, and what can go wrong with that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fakes.relay_nature import Death, Peers, Service

if TYPE_CHECKING:
    from fakes.relay_transfer import Relay

_CONNECT_S = 0.01
_UNREACHABLE_S = 2.5
_SILENT_S = 3.0
_MOST_CHILDREN = 64


class Pull:
    """One connection to a peer, from the moment that it is asked for."""

    def __init__(self, child: Relay, message: Mapping[str, Any]) -> None:
        self.attempt: int = message["attempt"]
        self._child = child
        self._target = (message["address"], message["port"])
        self._pinned: str = message["certificate_sha256"]
        self._wanted = child.lacking()
        self._position = 0
        self._credit = 0.0
        """Bytes that could have come by now."""
        self._world = child.agent.world
        self._heard_s = self._world.now
        """When something last came, or the connection was begun."""
        self._parent: Relay | None = None
        """None while there is no connection."""

    def turn(self, now: float) -> str | None:
        """Take what has come by now; return why nothing will come any more."""
        if self._parent is None:
            return self._connect(now)
        parent = self._parent
        if parent.is_over or parent.agent.death is Death.KILLED:
            return "closed"
        if parent.agent.death is not None or parent.agent.nature.service is Service.NOTHING:
            return "silent" if now - self._heard_s >= _SILENT_S else None
        if parent.agent.nature.service is Service.WRONG_BYTES:
            return "wrong-bytes"
        self._heard_s = now
        self._flow(parent)
        return None

    def close(self) -> None:
        if self._parent is not None:
            self._parent.children.discard(self._child)

    def _connect(self, now: float) -> str | None:
        there = self._world.at(self._target[0])
        peers = {self._child.agent.nature.peers, there.nature.peers}
        waited_s = now - self._heard_s
        if Peers.DROPPED in peers or there.death is Death.CUT:
            return "unreachable" if waited_s >= _UNREACHABLE_S else None
        if there.death is Death.FROZEN:
            return "silent" if waited_s >= _SILENT_S else None
        if waited_s < _CONNECT_S:
            return None
        parent = self._world.listeners.get(self._target)
        if Peers.REFUSED in peers or parent is None:
            return "refused"
        return self._greet(parent, now)

    def _greet(self, parent: Relay, now: float) -> str | None:
        if parent.agent.nature.service is Service.STRANGER:
            return "stranger"
        if (self._child.identity[0], self._pinned) != parent.identity:
            self._child.agent.complain(f"was to expect another certificate than {parent.agent.host} has")
            return "stranger"
        if len(parent.children) >= _MOST_CHILDREN:
            return "closed"
        self._parent, self._heard_s = parent, now
        parent.children.add(self._child)
        return None

    def _flow(self, parent: Relay) -> None:
        sizes = self._child.layout.sizes
        step = parent.rate_to(self._child) * self._world.tick_s
        self._credit = min(self._credit + step, step + max(sizes))
        while not self._child.is_over and self._position < len(self._wanted):
            chunk = self._wanted[self._position]
            if sizes[chunk] > self._credit or not parent.held[chunk]:
                return
            self._credit -= sizes[chunk]
            self._position += 1
            parent.served_bytes += sizes[chunk]
            self._child.receive(chunk)
