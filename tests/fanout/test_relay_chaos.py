"""Many things go wrong at once, drawn by lot: whoever can be served is, and whoever cannot be is named."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from fakes.relay_nature import Death, Nature, Peers, Service
from simulated import RATE, carry

from orchestrator.errors import ExitCode
from orchestrator.model.fanout import FanOutSettings, Shape
from orchestrator.ports import Parcel

ORDINARY = Nature(rate=RATE)


def draw_odd(chance: random.Random) -> Nature:
    """Return a host with one oddity."""
    return chance.choice(
        [
            Nature(rate=RATE, death=chance.choice(list(Death)), dies_at=chance.uniform(0, 0.9)),
            Nature(rate=RATE, peers=chance.choice([Peers.REFUSED, Peers.DROPPED])),
            Nature(rate=RATE, service=chance.choice([Service.WRONG_BYTES, Service.NOTHING, Service.STRANGER])),
            Nature(rate=RATE, disk=chance.uniform(0, 0.9), is_disk_foreseen=chance.random() < 0.5),
            Nature(rate=RATE, held=chance.choice([0.3, 0.8, 1])),
            Nature(rate=RATE, has_port=False),
            Nature(rate=RATE, ready_after_s=chance.uniform(0.5, 6)),
            Nature(rate=RATE, is_reachable=False),
            Nature(rate=RATE / 5),
        ]
    )


def draw_shared(chance: random.Random, nature: Nature) -> Nature:
    """Let some hosts share a file system, whatever else they are; some of them do not see what others wrote."""
    if chance.random() < 0.6:
        return nature
    return replace(nature, filesystem=chance.choice(["home", "scratch"]), sees_shared=chance.random() < 0.8)


def is_doomed(nature: Nature) -> bool:
    return nature.death is not None or nature.disk is not None or not nature.is_reachable


def may_be_spared(nature: Nature) -> bool:
    """Whether it may find its files on a shared file system before it would take the bytes that it dies of."""
    return nature.is_reachable and nature.filesystem is not None


@pytest.mark.parametrize("oddities", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(12))
def test_all_that_can_be_served_end_whole(seed: int, oddities: float, parcel: Parcel) -> None:
    chance = random.Random(f"{seed} {oddities}")
    natures = {
        f"worker-{number}": draw_shared(chance, draw_odd(chance) if chance.random() < oddities else ORDINARY)
        for number in range(chance.randint(2, 24))
    }
    settings = FanOutSettings(shape=chance.choice([Shape.CHAIN, Shape.CHAIN, Shape.TREE, Shape.STAR]))
    carried = carry(natures, {host: [parcel] for host in natures}, settings)
    well = {host for host, nature in natures.items() if not is_doomed(nature)}
    spared = {host for host, nature in natures.items() if may_be_spared(nature)}
    assert well <= carried.whole <= well | spared
    failures = {host: outcome.failure for host, outcome in carried.outcomes.items() if outcome.failure}
    assert all(host in failure.message for host, failure in failures.items())
    assert {failure.exit_code for failure in failures.values()} <= {ExitCode.HOST, ExitCode.TRANSFER}
    assert not set(failures) & set(carried.report.topology.parents)
