"""Chooses from whom a host takes when its first choice is gone, or it came late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from orchestrator.planning.relay_hosts import RelayHost, Standing

_QUIET_S = 2.0
"""Whoever says nothing for so long, of a word that is due every second, serves nobody, and needs nobody's room."""


def choose_parent(hosts: Mapping[str, RelayHost], name: str, *, degree: int, now_s: float) -> str | None:
    """Return the host to take from; None is the controller.

    The nearest ancestor that serves fewer than `degree` others comes first: it is ahead, and of the same rack as a
    rule. Then a host that holds everything; the controller, which has room for one, unless the host is new; any other
    host with room, the nearest in the chain's order; and when nobody has room, the nearest ancestor, or whoever serves
    the fewest.
    """
    host = hosts[name]
    below = names_below(hosts, name)

    def is_well(other: RelayHost) -> bool:
        return not other.is_shunned and now_s - other.heard_s < _QUIET_S

    def may_serve(other: RelayHost) -> bool:
        takes_part = other.serves and other.standing in (Standing.TAKING, Standing.WHOLE)
        return takes_part and is_well(other) and other.name not in host.unserved and other.name not in below

    served = Counter(each.parent for each in hosts.values() if each.standing is Standing.TAKING and is_well(each))
    lineage = [each for each in _lineage(hosts, host) if may_serve(hosts[each])]
    for ancestor in lineage:
        if served[ancestor] < degree:
            return ancestor
    places = {each: place for place, each in enumerate(hosts)}
    others = [each.name for each in hosts.values() if may_serve(each)]
    others.sort(key=lambda each: (served[each], abs(places[each] - places[name])))
    with_room = [each for each in others if served[each] < degree]
    whole = [each for each in with_room if hosts[each].standing is Standing.WHOLE]
    if host.attempt and not served[None]:
        return whole[0] if whole else None
    return next(iter([*whole, *with_room, *lineage, *others]), None)


def crowding_hosts(hosts: Mapping[str, RelayHost], *, degree: int) -> tuple[str, ...]:
    """Return the host that is furthest behind, for each parent that serves more than `degree` others."""
    children: dict[str, list[RelayHost]] = {}
    for host in hosts.values():
        if host.standing is Standing.TAKING and not host.is_shunned and host.parent is not None:
            children.setdefault(host.parent, []).append(host)
    return tuple(max(each, key=lambda host: host.lacked_bytes).name for each in children.values() if len(each) > degree)


def names_below(hosts: Mapping[str, RelayHost], name: str) -> set[str]:
    """Return a host and all that take, or took, from it directly or through others."""
    children: dict[str | None, list[str]] = {}
    for host in hosts.values():
        children.setdefault(host.parent, []).append(host.name)
    below: set[str] = set()
    waiting = [name]
    while waiting:
        below.add(waiting[-1])
        waiting.extend(each for each in children.get(waiting.pop(), ()) if each not in below)
    return below


def _lineage(hosts: Mapping[str, RelayHost], host: RelayHost) -> Iterator[str]:
    """Yield a host's parent, the parent's parent and so on, but not the controller."""
    parent = host.parent
    while parent is not None:
        yield parent
        parent = hosts[parent].parent
