"""What must be reached and what is hoped for, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fanoutbench.contests import CONTESTS, Contest
from fanoutbench.peers import OURS, PEERS, SCP, SCP_TO_ONE, TAKTUK, Kind
from fanoutbench.results import Results, Standing

Standings = Mapping[str, Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One measure."""

    text: str
    must: float
    hope: float
    measured: float | None
    """None as long as something that it takes was not measured."""

    @property
    def is_at_most(self) -> bool:
        """Whether less is better."""
        return self.hope < self.must

    def meets(self, value: float) -> bool:
        """Whether what was measured is as good as that."""
        if self.measured is None:
            return False
        return self.measured <= value if self.is_at_most else self.measured >= value


def judge(results: Results) -> tuple[Goal, ...]:
    """Return every goal with what was measured."""
    standings = {name: results.standings(name) for name in CONTESTS}
    ratios = {name: ratio(contest, standings[name].get(OURS)) for name, contest in CONTESTS.items()}
    middle, loopback = standings["N32"], standings["loopback"]
    ours = middle.get(OURS)
    scp = middle.get(SCP)
    sent = ours.sent_bytes / CONTESTS["N32"].size_bytes if ours else None
    cpu = ours.cpu_s / scp.cpu_s if ours and scp else None
    growth = ratios["N32"] / ratios["N8"] if ratios["N32"] and ratios["N8"] else None
    return (
        *(
            Goal(text=f"wall ÷ limit, {name}", must=1.5, hope=1.3, measured=ratios[name])
            for name in ("N8", "N32", "N64")
        ),
        Goal(text="that of N32 ÷ that of N8", must=1.3, hope=1.1, measured=growth),
        Goal(text="N32: the best star's wall ÷ ours", must=18, hope=24, measured=_faster(_best_star(middle), ours)),
        Goal(text="N32: taktuk's wall ÷ ours", must=1.8, hope=2.3, measured=_faster(middle.get(TAKTUK), ours)),
        Goal(text="N32: bytes that the controller sends ÷ size", must=1.1, hope=1.0, measured=sent),
        Goal(
            text="loopback: MB/s of all hosts together ÷ scp's to one host",
            must=1.5,
            hope=3,
            measured=_aggregate(loopback),
        ),
        Goal(text="N32: CPU seconds on the controller ÷ parallel scp's", must=0.5, hope=0.25, measured=cpu),
    )


def ratio(contest: Contest, standing: Standing | None) -> float | None:
    """Return how many times as long as one copy through one link it took."""
    return standing.wall_s / contest.limit_s if standing and contest.limit_s else None


def _faster(other: Standing | None, ours: Standing | None) -> float | None:
    return other.wall_s / ours.wall_s if other and ours else None


def _best_star(standings: Standings) -> Standing | None:
    stars = [standing for peer, standing in standings.items() if PEERS[peer].kind is Kind.STAR]
    return min(stars, key=lambda standing: standing.wall_s, default=None)


def _aggregate(loopback: Standings) -> float | None:
    """Return all hosts' bytes over our time against one host's over scp's: the sizes cancel out."""
    times = _faster(loopback.get(SCP_TO_ONE), loopback.get(OURS))
    return None if times is None else times * CONTESTS["loopback"].hosts
