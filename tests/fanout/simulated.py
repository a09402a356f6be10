"""Carries files to simulated hosts with the real fleet, sessions and carrier."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fakes.relay_nature import Nature
from fakes.relay_transfer import Relay
from fakes.relay_world import RelayWorld
from fakes.reporter import FakeReporter

from orchestrator.fanout.carrier import RelayCarrier
from orchestrator.model.fanout import FanOutReport, FanOutSettings
from orchestrator.model.outcome import Delivery, Outcome
from orchestrator.ports import Parcel
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet

SIZE_BYTES = 2_000_000
RATE = 1e6
"""Of an ordinary host: two seconds for the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A fan-out that is over, and the world that it happened in."""

    world: RelayWorld
    outcomes: Mapping[str, Outcome[Delivery]]
    report: FanOutReport
    reporter: FakeReporter
    most_threads: int
    """Of this process, while it went on."""

    @property
    def whole(self) -> set[str]:
        """The hosts whose outcome is good, each checked to hold everything that it was to get."""
        good = {host for host, outcome in self.outcomes.items() if outcome.is_ok}
        assert all(relay.is_whole for host in good for relay in self.relays(host))
        return good

    def relays(self, host: str) -> Sequence[Relay]:
        return self.world.agents[host].relayed

    def whole_s(self, host: str) -> float:
        """When a host had its files."""
        (relay,) = self.relays(host)
        assert relay.whole_s is not None
        return relay.whole_s


def make_parcel(folder: Path, *, name: str = "wheel", size_bytes: int = SIZE_BYTES) -> Parcel:
    """Write a file with the same bytes each time."""
    content = random.Random(name).randbytes(size_bytes)
    source = folder / name
    source.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return Parcel(source=source, path=f"cache:wheels/{sha256}/{name}", sha256=sha256, size_bytes=size_bytes)


class _CountingClock:
    """The world's clock; looks how many threads there are whenever the carrier looks at the time."""

    def __init__(self, world: RelayWorld) -> None:
        self.most_threads = 0
        self._world = world

    def __call__(self) -> float:
        self.most_threads = max(self.most_threads, threading.active_count())
        return self._world.clock()


def carry(
    natures: Mapping[str, Nature], parcels: Mapping[str, Sequence[Parcel]], settings: FanOutSettings | None = None
) -> Carried:
    """Carry parcels to hosts of these natures. Nothing may be done to them that no controller may do."""
    world = RelayWorld(natures)
    reporter = FakeReporter()
    clock = _CountingClock(world)
    ssh = DialSettings(ssh_config=Path("/dev/null"))
    with SshFleet(world.hosts, settings=ssh, open_channel=world.open_channel) as fleet, world:
        carrier = RelayCarrier(settings or FanOutSettings(), clock=clock)
        result = carrier.carry(parcels, fleet, reporter)
    assert world.complaints == [], world.complaints
    outcomes = {outcome.host: outcome for outcome in result.outcomes.items}
    assert list(outcomes) == list(parcels)
    return Carried(
        world=world, outcomes=outcomes, report=result.report, reporter=reporter, most_threads=clock.most_threads
    )
