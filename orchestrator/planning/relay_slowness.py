"""Finds the hosts that hold others up while files are relayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.planning.relay_hosts import RelayHost, Standing

_SLOW = 0.25
"""Of the best rate that was seen. Two children of one parent have half each, and are not slow."""
_BEHIND_S = 1.5
"""So much time at the best rate must a slow host lag behind its parent: one that has no more itself is not to blame."""
_RECOVERED = 0.35
"""Of the best rate again: more than half of what sharing its parent with one other leaves it."""
_SEEN_S = 2.0
"""What the head has to be watched for before a trial, and both during it: hosts that are busy starting are uneven."""
_WORTH_S = 15.0
"""A trial costs half of the controller's link: only when the rest would take longer than this."""
_MOST_TRIALS = 2
_FASTER = 3.0
"""So many times what the head got must the second get, over the same link, to put the blame on the head."""


def best_rate(hosts: Mapping[str, RelayHost], now_s: float) -> float:
    """Return the rate (bytes per second) of the host that takes fastest now; 0 when none has taken for long enough."""
    return max((host.rate(now_s) or 0.0 for host in hosts.values() if host.standing is Standing.TAKING), default=0.0)


def recovered_hosts(hosts: Mapping[str, RelayHost], best: float, now_s: float) -> tuple[RelayHost, ...]:
    """Return those that were slow for a while only, or seemed to be."""
    slow = [host for host in hosts.values() if host.is_slow and host.standing is Standing.TAKING]
    return tuple(host for host in slow if (host.rate(now_s) or 0.0) > _RECOVERED * best)


def slow_hosts(hosts: Mapping[str, RelayHost], best: float, now_s: float) -> tuple[RelayHost, ...]:
    """Return those that take much more slowly than `best`, though their parent has more to give.

    Those that are shunned are known, and left out.
    """
    taking = [host for host in hosts.values() if host.standing is Standing.TAKING and not host.is_shunned]
    return tuple(host for host in taking if _is_slow(host, hosts, best, now_s))


def _is_slow(host: RelayHost, hosts: Mapping[str, RelayHost], best: float, now_s: float) -> bool:
    rate = host.rate(now_s)
    if host.parent is None or rate is None or rate >= _SLOW * best:
        return False
    return host.lacked_bytes - hosts[host.parent].lacked_bytes > _BEHIND_S * best


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTrial:
    """Is the host that the controller sends to slow, or the link? For a moment a second one is sent to as well."""

    head: str
    second: str
    head_bytes: int
    """What the head held when it began; and the second:"""
    second_bytes: int
    since_s: float

    def is_due(self, now_s: float) -> bool:
        """Whether both have had their time."""
        return now_s - self.since_s >= _SEEN_S

    def blames_head(self, head: RelayHost, second: RelayHost) -> bool:
        """Whether the second one got so much more, over the same link at the same time, that the head is slow."""
        return second.held_bytes - self.second_bytes > _FASTER * (head.held_bytes - self.head_bytes)


def plan_trial(hosts: Mapping[str, RelayHost], tried: set[str], now_s: float) -> HeadTrial | None:
    """Return a trial that is worth its cost; None when there is none. `tried` are those that were the second before."""
    taking = [host for host in hosts.values() if host.standing is Standing.TAKING and not host.is_shunned]
    heads = [host for host in taking if host.parent is None]
    seconds = [host for host in taking if host.parent is not None and host.name not in tried]
    if len(heads) != 1 or not seconds or len(tried) >= _MOST_TRIALS:
        return None
    (head,), second = heads, seconds[0]
    watched_s = now_s - head.since_s
    taken_bytes = head.held_bytes - head.since_bytes
    if watched_s < _SEEN_S or head.lacked_bytes * watched_s <= _WORTH_S * taken_bytes:
        return None
    return HeadTrial(
        head=head.name,
        second=second.name,
        head_bytes=head.held_bytes,
        second_bytes=second.held_bytes,
        since_s=now_s,
    )
