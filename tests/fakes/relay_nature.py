"""What a simulated host is like, and what happens to it while files are relayed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Death(Enum):
    """How a host goes."""

    KILLED = "killed"
    """Its agent ends: every connection is told at once."""
    CUT = "cut"
    """Its packets are lost; TCP gives its SSH session up after seconds."""
    FROZEN = "frozen"
    """Nothing runs there, but its kernel keeps every connection: nobody is ever told."""


class Peers(Enum):
    """What becomes of connections between this host and another one, from either side."""

    OPEN = "open"
    REFUSED = "refused"
    DROPPED = "dropped"


class Service(Enum):
    """What those who connect to this host get from it."""

    GOOD = "good"
    WRONG_BYTES = "wrong bytes"
    NOTHING = "nothing"
    STRANGER = "stranger"
    """Somebody else's certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """One simulated host. Shares are of the bytes that it is to hold, from 0 to 1."""

    rate: float = 10e6
    """Bytes per second in each direction."""
    held: float = 0.0
    """The share that is there before."""
    is_reachable: bool = True
    """Whether its sshd answers."""
    ready_after_s: float = 0.0
    """How long it looks at what is there."""
    filesystem: str | None = None
    """Those with the same word share their files."""
    sees_shared: bool = True
    """Whether what others put on the shared file system shows up here."""
    peers: Peers = Peers.OPEN
    has_port: bool = True
    """Whether it finds a port to listen on."""
    service: Service = Service.GOOD
    death: Death | None = None
    dies_at: float = 0.5
    """The share that it holds when it dies: 0 before it says what it holds, 1 right after it said it is whole."""
    disk: float | None = None
    """The share that there is room for."""
    is_disk_foreseen: bool = True
    """Whether it sees that before the first byte."""
