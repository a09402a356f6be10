"""How one file reaches N hosts: who takes from whom, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.model.outcome import Delivery, Outcomes


class Shape(str, Enum):
    """What the hosts of a fan-out look like when each is drawn under the one that it takes from."""

    AUTO = "auto"
    """A chain, or a binary tree where so many hops would take longer than sending twice."""
    CHAIN = "chain"
    TREE = "tree"
    STAR = "star"
    """No relays: the controller sends every copy itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutSettings:
    """What the user said about the fan-out."""

    shape: Shape = Shape.AUTO
    relay_ports: tuple[int, int] | None = None
    """First and last port that hosts may listen on; None lets each one's system choose."""
    racks: Mapping[str, str] = field(default_factory=dict)
    """Host → its rack; hosts that are not in it are in a rack of their own together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Who takes from whom: a forest whose roots take from the controller, or are seeds."""

    parents: Mapping[str, str | None]
    """Host → the host that it takes from, None is the controller. A parent that takes from nobody is a seed, and is
    no key. Parents come before their children."""

    @property
    def children(self) -> dict[str | None, tuple[str, ...]]:
        """Who serves whom, in order; None is the controller."""
        served: dict[str | None, list[str]] = {}
        for host, parent in self.parents.items():
            served.setdefault(parent, []).append(host)
        return {parent: tuple(hosts) for parent, hosts in served.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutReport:
    """What a fan-out took, over all hosts."""

    elapsed_s: float
    lacked_bytes: int
    """The most that any one host lacked: what a single link must carry at least."""
    controller_bytes: int
    """File bytes that left the controller."""
    peer_bytes: int
    """File bytes that hosts have from each other: all that the whole ones received, less the controller's."""
    fastest_bytes_per_s: float | None
    """The best rate of any host, over two seconds or the whole if shorter; None when that was under half a second."""
    topology: Topology
    """As it was at the end."""
    fallen_back: tuple[str, ...] = ()
    """Hosts that no other host could serve, so that the controller did."""

    @property
    def ideal_s(self) -> float | None:
        """How long one copy takes at the best rate that was seen; None when that is not known."""
        return self.lacked_bytes / self.fastest_bytes_per_s if self.fastest_bytes_per_s else None

    @property
    def ratio(self) -> float | None:
        """Seconds against the ideal's; None when that is not known."""
        return self.elapsed_s / self.ideal_s if self.ideal_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutResult:
    """What became of every host's files, and what it took."""

    outcomes: Outcomes[Delivery]
    report: FanOutReport
