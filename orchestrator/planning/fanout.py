"""Decides who takes from whom when files go to many hosts, and in which pieces they travel."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.fanout import Shape, Topology

_RATE_BYTES_PER_S = 25_000_000
"""Assumed of every link, and low on purpose: a chain that should have been a tree costs hops, a tree that should have
been a chain doubles the transfer."""
_HOP_S = 0.0025
"""Assumed from a chunk's arrival at one host to its arrival at the next, beyond its time on the wire."""

_DEGREES = {Shape.STAR: 0, Shape.CHAIN: 1, Shape.TREE: 2}

_MIN_CHUNK_BYTES = 24_000
"""Smaller ones cost hosts more time than they save on the way."""
_MAX_CHUNK_BYTES = 1024 * 1024
_MIN_GROUP_BYTES = 1024 * 1024
_MAX_GROUPS = 1024
"""Of one cargo, about: their digests go to every host over SSH."""
_MAX_GROUP_CHUNKS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizes:
    """Into which pieces a cargo is cut."""

    chunk_bytes: int
    """What is verified, and passed on, at once."""
    group_chunks: int
    """How many chunks share one digest that comes from the controller."""


def order_hosts(hosts: Iterable[str], racks: Mapping[str, str]) -> tuple[str, ...]:
    """Return the hosts rack by rack, so that files cross each rack's uplink once on their way along them.

    Racks come in the order of their first host, hosts within a rack in the order given; hosts without a rack are
    together, as if in one.
    """
    by_rack: dict[str | None, list[str]] = {}
    for host in hosts:
        by_rack.setdefault(racks.get(host), []).append(host)
    return tuple(host for members in by_rack.values() for host in members)


def make_topology(hosts: Sequence[str], *, roots: Sequence[str | None], degree: int) -> Topology:
    """Return who takes from whom, neighbours in `hosts` from each other.

    Each root (None is the controller, a name a host that holds everything and is not among `hosts`) gets a stretch of
    the hosts: its first host takes from the root, and serves the first hosts of at most `degree` equal parts of the
    rest; and so on. Degree 1 is a chain, 0 a star: all take from their root. Raises ValueError without a root.
    """
    if not roots:
        raise ValueError("a fan-out has at least one root")
    stretches = zip(roots, _split(range(len(hosts)), len(roots)), strict=False)  # more roots than hosts: some idle
    if degree == 0:
        return Topology(parents={hosts[place]: root for root, stretch in stretches for place in stretch})
    parents: dict[str, str | None] = {}
    waiting: deque[tuple[str | None, range]] = deque(stretches)
    while waiting:
        parent, stretch = waiting.popleft()
        head = hosts[stretch[0]]
        parents[head] = parent
        waiting.extend((head, part) for part in _split(stretch[1:], degree))
    return Topology(parents=parents)


def depth_of(host_count: int, degree: int) -> int:
    """Return over how many hops the last of so many hosts behind one root gets its files."""
    if degree == 0:
        return min(host_count, 1)
    depth = 0
    while host_count:
        host_count = -(-(host_count - 1) // degree)
        depth += 1
    return depth


def choose_degree(shape: Shape, host_count: int, size_bytes: int) -> int:
    """Return how many hosts one host serves at most, for `make_topology`.

    A host that serves two sends both copies over one link; hosts that serve one make the way to the last host long.
    AUTO takes what is faster at an assumed rate and latency.
    """
    if shape is not Shape.AUTO:
        return _DEGREES[shape]
    copy_s = size_bytes / _RATE_BYTES_PER_S
    return min((1, 2), key=lambda degree: degree * copy_s + depth_of(host_count, degree) * _HOP_S)


def choose_chunks(size_bytes: int, host_count: int, degree: int) -> ChunkSizes:
    """Return how a cargo of so many bytes is cut for so many hosts behind one root.

    Every hop waits for a whole chunk before it passes it on: where chunks can be so small, all hops together cost 3 %
    of one copy's time.
    """
    depth = max(depth_of(host_count, degree), 1)
    chunk_bytes = _between(_MIN_CHUNK_BYTES, size_bytes * 4 // (100 * depth), _MAX_CHUNK_BYTES)
    group_bytes = max(_MIN_GROUP_BYTES, -(-size_bytes // _MAX_GROUPS))
    return ChunkSizes(
        chunk_bytes=chunk_bytes, group_chunks=_between(1, -(-group_bytes // chunk_bytes), _MAX_GROUP_CHUNKS)
    )


def _split(stretch: range, count: int) -> Iterator[range]:
    """Yield at most `count` parts of a stretch, none empty, the larger first; their sizes differ by one at most."""
    size, larger = divmod(len(stretch), count)
    start = 0
    for place in range(min(count, len(stretch))):
        end = start + size + (place < larger)
        yield stretch[start:end]
        start = end


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
