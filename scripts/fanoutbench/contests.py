"""What is measured: one file, some hosts, a link to each of them, and who takes part."""

from __future__ import annotations

from dataclasses import dataclass

from testcluster.links import parse_rate

from fanoutbench.errors import BenchError
from fanoutbench.peers import OURS, OURS_FIRST, PEERS, SCP, SCP_TO_ONE, TAKTUK, Kind, Peer

_PAYLOAD_SHARE = 1448 / 1514
"""What TCP leaves of an Ethernet frame: Ethernet's, IP's and TCP's headers, with timestamps, take the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One file to some hosts."""

    name: str
    hosts: int
    size_bytes: int
    rate: str | None
    """Of every link, the controller's too, in tc's words; None is as fast as the machine."""
    peers: tuple[str, ...]
    """Who takes part when nobody was named."""

    @property
    def limit_s(self) -> float | None:
        """How long one copy takes through one link; None where links have no limit."""
        if self.rate is None:
            return None
        return self.size_bytes * 8 / (parse_rate(self.rate) * _PAYLOAD_SHARE)

    @property
    def text(self) -> str:
        """For people: `N32: 20 MB to 32 hosts, links of 50mbit`."""
        links = f"links of {self.rate}" if self.rate else "links without a limit"
        return f"{self.name}: {self.size_bytes / 1e6:g} MB to {self.hosts} hosts, {links}"


ALL_TO_ALL = tuple(name for name, peer in PEERS.items() if peer.kind is not Kind.ONE)
CONTESTS = {
    contest.name: contest
    for contest in (
        Contest(name="N8", hosts=8, size_bytes=50_000_000, rate="200mbit", peers=(OURS, OURS_FIRST, TAKTUK, SCP)),
        Contest(name="N32", hosts=32, size_bytes=20_000_000, rate="50mbit", peers=ALL_TO_ALL),
        Contest(name="N64", hosts=64, size_bytes=20_000_000, rate="25mbit", peers=(OURS, OURS_FIRST, TAKTUK)),
        Contest(name="loopback", hosts=8, size_bytes=200_000_000, rate=None, peers=(OURS, SCP, SCP_TO_ONE)),
    )
}


def choose_contests(text: str | None) -> tuple[Contest, ...]:
    """Return the contests of `N8,N32`, or all. Raises BenchError for a name that is none."""
    return tuple(CONTESTS[name] for name in _known(text.split(","), CONTESTS)) if text else tuple(CONTESTS.values())


def choose_peers(contest: Contest, text: str | None) -> tuple[Peer, ...]:
    """Return who takes part: those of the contest, the `fast` ones of them, `all`, `none` but ours, or who is named.

    Raises BenchError for a name that is none.
    """
    match text:
        case None:
            names = contest.peers
        case "all":
            names = ALL_TO_ALL
        case "fast":
            names = tuple(name for name in contest.peers if PEERS[name].is_quick)
        case "none":
            names = (OURS, OURS_FIRST)
        case _:
            names = _known(text.split(","), PEERS)
    return tuple(PEERS[name] for name in names)


def _known(names: list[str], all_names: dict[str, Contest] | dict[str, Peer]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in all_names]
    if unknown:
        raise BenchError(f"there is no {', '.join(unknown)}: choose from {', '.join(all_names)}")
    return tuple(names)
