"""Files on their way to hosts that are well: how often they are sent, and what of them is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.relay_nature import Nature
from simulated import RATE, SIZE_BYTES, carry, make_parcel

from orchestrator.model.events import HostFinished, HostProgress, TopologyPlanned
from orchestrator.model.fanout import FanOutSettings, Shape
from orchestrator.model.outcome import Delivery
from orchestrator.ports import Parcel

HOSTS = tuple(f"worker-{number}" for number in range(8))
ORDINARY = Nature(rate=RATE)
ONE_COPY = 1.05 * SIZE_BYTES
"""With the lists of digests that travel with it."""


@pytest.mark.parametrize("shape", [Shape.AUTO, Shape.CHAIN, Shape.TREE])
def test_the_controller_sends_one_copy_however_many_hosts_there_are(shape: Shape, parcel: Parcel) -> None:
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS}, FanOutSettings(shape=shape))
    assert carried.whole == set(HOSTS)
    assert SIZE_BYTES <= carried.report.controller_bytes <= ONE_COPY
    assert carried.report.peer_bytes == 7 * SIZE_BYTES
    assert carried.report.fallen_back == ()


def test_a_star_has_no_relays(parcel: Parcel) -> None:
    settings = FanOutSettings(shape=Shape.STAR)
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS}, settings)
    assert carried.whole == set(HOSTS)
    assert carried.report.peer_bytes == 0
    assert set(carried.report.topology.parents.values()) == {None}
    assert carried.report.fallen_back == ()


def test_a_star_of_many_hosts_serves_them_all(parcel: Parcel) -> None:
    hosts = [f"worker-{number}" for number in range(40)]
    settings = FanOutSettings(shape=Shape.STAR)
    carried = carry(dict.fromkeys(hosts, ORDINARY), {host: [parcel] for host in hosts}, settings)
    assert carried.whole == set(hosts)


def test_a_chain_takes_little_longer_than_one_copy(parcel: Parcel) -> None:
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS})
    assert carried.report.ratio is not None
    assert 1 <= carried.report.ratio < 1.5
    assert carried.report.lacked_bytes == SIZE_BYTES


def test_files_cross_from_rack_to_rack_once(parcel: Parcel) -> None:
    racks = {host: f"rack{number % 2}" for number, host in enumerate(HOSTS)}
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS}, FanOutSettings(racks=racks))
    parents = carried.report.topology.parents
    assert sum(racks[host] != racks[parent] for host, parent in parents.items() if parent) == 1


def test_hosts_listen_on_the_ports_that_were_allowed(parcel: Parcel) -> None:
    settings = FanOutSettings(relay_ports=(20500, 20600))
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS}, settings)
    ports = {message["port"] for host in HOSTS for _, message in carried.world.told(host, "pull")}
    assert ports == {20500}


def test_every_relay_is_asked_to_finish(parcel: Parcel) -> None:
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS})
    assert all(relay.is_over for host in HOSTS for relay in carried.relays(host))
    assert all(len(carried.world.told(host, "finish")) == 1 for host in HOSTS)


def test_what_is_there_is_not_sent(parcel: Parcel) -> None:
    carried = carry(dict.fromkeys(HOSTS, Nature(held=1)), {host: [parcel] for host in HOSTS})
    kept = Delivery(sent_bytes=0, kept_bytes=SIZE_BYTES)
    assert [outcome.value for outcome in carried.outcomes.values()] == [kept] * 8
    assert (carried.report.controller_bytes, carried.report.peer_bytes) == (0, 0)
    assert not any(carried.world.told(host, "listen", "pull", "feed") for host in HOSTS)


def test_hosts_that_hold_the_file_serve_the_others(parcel: Parcel) -> None:
    natures = {host: Nature(rate=RATE, held=float(host in HOSTS[2:4])) for host in HOSTS}
    carried = carry(natures, {host: [parcel] for host in HOSTS})
    assert carried.whole == set(HOSTS)
    assert carried.report.controller_bytes == 0
    assert carried.report.peer_bytes == 6 * SIZE_BYTES


def test_seeds_that_find_no_port_are_not_waited_for(parcel: Parcel) -> None:
    natures = {host: Nature(rate=RATE, held=float(host == "worker-2"), has_port=host != "worker-2") for host in HOSTS}
    carried = carry(natures, {host: [parcel] for host in HOSTS})
    assert carried.whole == set(HOSTS)
    assert carried.report.controller_bytes <= ONE_COPY


def test_an_interrupted_run_is_taken_up_where_it_was(parcel: Parcel) -> None:
    carried = carry(dict.fromkeys(HOSTS, Nature(rate=RATE, held=0.7)), {host: [parcel] for host in HOSTS})
    assert carried.whole == set(HOSTS)
    assert carried.report.controller_bytes < 0.4 * SIZE_BYTES
    assert 0.6 * SIZE_BYTES < carried.outcomes["worker-5"].value.kept_bytes < 0.8 * SIZE_BYTES  # type: ignore[union-attr]


@pytest.mark.parametrize("leader", [0, 3])
def test_hosts_that_share_a_file_system_get_it_once(leader: int, parcel: Parcel) -> None:
    shared = HOSTS[leader : leader + 3]
    natures = {host: Nature(rate=RATE, filesystem="home" if host in shared else None) for host in HOSTS}
    carried = carry(natures, {host: [parcel] for host in HOSTS})
    assert carried.whole == set(HOSTS)
    received = [carried.relays(host)[0].received_bytes for host in shared]
    assert sorted(received) == [0, 0, SIZE_BYTES]
    assert carried.report.peer_bytes <= 5 * SIZE_BYTES


def test_a_host_that_does_not_see_what_another_wrote_gets_its_own_copy(parcel: Parcel) -> None:
    natures = {host: Nature(rate=RATE, filesystem="home", sees_shared=host != "worker-5") for host in HOSTS}
    carried = carry(natures, {host: [parcel] for host in HOSTS})
    assert carried.whole == set(HOSTS)
    assert carried.relays("worker-5")[0].received_bytes == SIZE_BYTES


def test_hosts_of_several_signatures_get_what_each_is_to_have(tmp_path: Path) -> None:
    common, first, second = (make_parcel(tmp_path, name=name, size_bytes=400_001) for name in ("pip", "a", "b"))
    wanted = {host: [common, first if number % 2 else second] for number, host in enumerate(HOSTS)}
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), wanted)
    assert carried.whole == set(HOSTS)
    assert all(outcome.value == Delivery(sent_bytes=800_002, kept_bytes=0) for outcome in carried.outcomes.values())
    assert carried.report.controller_bytes <= 1.05 * 3 * 400_001


@pytest.mark.parametrize("size_bytes", [0, 1, 16_000, 16_001])
def test_files_of_any_size_arrive(size_bytes: int, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, size_bytes=size_bytes)
    carried = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS})
    assert carried.whole == set(HOSTS)
    assert {outcome.value.sent_bytes for outcome in carried.outcomes.values() if outcome.value} == {size_bytes}


def test_a_host_that_is_to_get_nothing_is_done(parcel: Parcel) -> None:
    carried = carry(dict.fromkeys(HOSTS[:2], ORDINARY), {"worker-0": [], "worker-1": [parcel]})
    assert carried.whole == {"worker-0", "worker-1"}
    assert carried.outcomes["worker-0"].value == Delivery(sent_bytes=0, kept_bytes=0)


def test_nothing_to_carry_is_no_trouble() -> None:
    assert carry({}, {}).outcomes == {}


def test_a_person_sees_the_plan_once_and_how_far_each_host_is(parcel: Parcel) -> None:
    reporter = carry(dict.fromkeys(HOSTS, ORDINARY), {host: [parcel] for host in HOSTS}).reporter
    (planned,) = reporter.of(TopologyPlanned)
    assert set(planned.topology.parents) == set(HOSTS)
    assert sorted(event.host for event in reporter.of(HostFinished)) == sorted(HOSTS)
    for host in HOSTS:
        done = [event.done_bytes for event in reporter.of(HostProgress) if event.host == host]
        assert None not in done
        assert done == sorted(done, key=lambda amount: amount or 0)
        assert done[-1] == SIZE_BYTES
