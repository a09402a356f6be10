"""What is known of each host while files are relayed, and the steps that follow from it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

WINDOW_S = 2.0
"""Rates are taken over this time."""


class Standing(Enum):
    """Where a host stands in a fan-out."""

    OPENING = "opening"
    """It has not said yet what it holds."""
    SHARING = "sharing"
    """Another host that has the same file system takes for both."""
    WAITING = "waiting"
    """It lacks something and has nobody to take it from."""
    TAKING = "taking"
    WHOLE = "whole"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class RelayHost:
    """One host of a fan-out; the times are on the clock of whoever tells."""

    name: str
    standing: Standing = Standing.OPENING
    parent: str | None = None
    """Whom it takes from, or took from last; None is the controller."""
    attempt: int = 0
    """The number of that source; 0 before the first."""
    kept_bytes: int = 0
    """What it held before anything was sent."""
    held_bytes: int = 0
    total_bytes: int = 0
    serves: bool = False
    """Whether others can connect to it."""
    filesystem: str | None = None
    is_slow: bool = False
    is_wrong: bool = False
    """It sent wrong bytes."""
    unserved: set[str] = field(default_factory=set)
    """Who could not serve it."""
    unreached: int = 0
    """How many of those it could not even connect to."""
    slow_children: int = 0
    heard_s: float = 0.0
    placed_s: float = 0.0
    """When it was told to take from its parent."""
    since_s: float = 0.0
    """When its parent's first bytes came; before that, the same."""
    since_bytes: int = 0
    """What it held then."""
    marks: deque[tuple[float, int]] = field(default_factory=deque)
    """What it held when, over the last two seconds and one mark before."""

    @property
    def is_shunned(self) -> bool:
        """Whether nobody is to take from it."""
        return self.is_slow or self.is_wrong

    @property
    def lacked_bytes(self) -> int:
        """Bytes that it has yet to get."""
        return self.total_bytes - self.held_bytes

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.standing in (Standing.WHOLE, Standing.FAILED)

    def mark(self, held_bytes: int, now_s: float) -> None:
        """Note what it holds now."""
        if self.held_bytes == self.since_bytes < held_bytes:
            self.since_s = now_s
        self.held_bytes = held_bytes
        self.marks.append((now_s, held_bytes))
        while len(self.marks) > 2 and self.marks[1][0] <= now_s - WINDOW_S:
            self.marks.popleft()

    def rate(self, now_s: float) -> float | None:
        """Return bytes per second over the last two seconds; None until its parent has sent for so long."""
        if self.held_bytes == self.since_bytes or now_s - self.since_s < WINDOW_S:
            return None
        at_s, held_bytes = self.marks[0]
        return (self.held_bytes - held_bytes) / max(now_s - at_s, WINDOW_S)

    def last_rate(self, now_s: float) -> float:
        """Return bytes per second since the oldest mark: two seconds ago, or at the beginning if that is later."""
        at_s, held_bytes = self.marks[0] if self.marks else (now_s, self.held_bytes)
        return (self.held_bytes - held_bytes) / (now_s - at_s) if now_s > at_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """The host is to take from `parent` from now on; None is the controller."""

    host: str
    attempt: int
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """The host, which holds everything, is to let others connect."""

    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The host is to look again at what lies on its disk."""

    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The host is not waited for any longer."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A person should know this."""

    text: str
    hint: str | None = None


Step = Take | Listen | Look | GiveUp | Say
