"""One thing goes wrong at one host, or a few: the others end whole, soon, and a person is told what it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.relay_nature import Death, Nature, Peers, Service
from simulated import RATE, SIZE_BYTES, Carried, carry, make_parcel

from orchestrator.errors import ExitCode
from orchestrator.model.events import HostFinished, Note
from orchestrator.model.fanout import FanOutSettings, Shape
from orchestrator.ports import Parcel

HOSTS = tuple(f"worker-{number}" for number in range(8))
ORDINARY = Nature(rate=RATE)
ONE_COPY = 1.05 * SIZE_BYTES
FIRST, MIDDLE, LAST = "worker-0", "worker-3", "worker-7"


def carry_past(
    odd: Nature, *hosts: str, parcel: Parcel, shape: Shape = Shape.CHAIN, ordinary: Nature = ORDINARY
) -> Carried:
    """Carry to eight hosts, some of which are odd."""
    natures = {host: odd if host in hosts else ordinary for host in HOSTS}
    return carry(natures, {host: [parcel] for host in HOSTS}, FanOutSettings(shape=shape))


def others(*hosts: str) -> set[str]:
    return set(HOSTS) - set(hosts)


def notes_about(carried: Carried, host: str) -> Sequence[str]:
    return [note.text for note in carried.reporter.of(Note) if host in note.text]


@pytest.mark.parametrize("host", [FIRST, MIDDLE, LAST])
@pytest.mark.parametrize("dies_at", [0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("death", Death)
def test_a_dead_host_fails_alone(death: Death, dies_at: float, host: str, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=death, dies_at=dies_at), host, parcel=parcel)
    assert carried.whole == others(host)
    failure = carried.outcomes[host].failure
    assert failure is not None
    assert failure.exit_code is ExitCode.HOST
    assert host in failure.message
    assert host not in carried.report.topology.parents


@pytest.mark.parametrize("shape", [Shape.TREE, Shape.STAR])
@pytest.mark.parametrize("death", Death)
def test_a_dead_host_fails_alone_in_any_shape(death: Death, shape: Shape, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=death), FIRST, parcel=parcel, shape=shape)
    assert carried.whole == others(FIRST)


@pytest.mark.parametrize("death", Death)
def test_a_host_that_dies_when_it_is_whole_leaves_nobody_behind(death: Death, parcel: Parcel) -> None:
    odd = Nature(rate=RATE, death=death, dies_at=1)
    carried = carry_past(odd, MIDDLE, parcel=parcel, ordinary=Nature(rate=RATE / 2))
    assert carried.whole >= others(MIDDLE)


@pytest.mark.parametrize("dies_at", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("death", Death)
def test_the_child_of_a_dead_host_takes_from_another_one_within_5_s(
    death: Death, dies_at: float, parcel: Parcel
) -> None:
    carried = carry_past(Nature(rate=RATE, death=death, dies_at=dies_at), MIDDLE, parcel=parcel)
    died_s = carried.world.agents[MIDDLE].died_s
    (when, message), *_ = [told for told in carried.world.told("worker-4", "pull", "feed") if told[0] > died_s]
    assert when - died_s <= 5
    assert message["do"] == "pull"
    assert carried.report.controller_bytes <= ONE_COPY


@pytest.mark.parametrize("death", Death)
def test_a_dead_first_host_costs_the_controller_what_it_alone_had(death: Death, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=death), FIRST, parcel=parcel)
    assert carried.whole == others(FIRST)
    assert carried.report.controller_bytes < 1.7 * SIZE_BYTES  # what was on its way into the black hole is lost


@pytest.mark.parametrize("dies_at", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("death", Death)
def test_a_death_is_told_within_10_s(death: Death, dies_at: float, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=death, dies_at=dies_at), MIDDLE, parcel=parcel)
    (told,) = [event for event in carried.reporter.of(HostFinished) if event.host == MIDDLE]
    assert not told.is_ok
    assert told.elapsed_s - carried.world.agents[MIDDLE].died_s <= 10


def test_a_dead_host_delays_the_others_by_seconds_only(parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=Death.FROZEN), MIDDLE, parcel=parcel)
    assert max(carried.whole_s(host) for host in others(MIDDLE)) < 10


@pytest.mark.parametrize("death", Death)
def test_when_all_hosts_die_the_run_ends(death: Death, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=death, dies_at=0.3), *HOSTS, parcel=parcel)
    assert carried.whole == set()


@pytest.mark.parametrize("dead", [HOSTS[:3], HOSTS[2:5], HOSTS[5:], HOSTS[::2], HOSTS[1:]])
def test_several_dead_hosts_fail_alone(dead: Sequence[str], parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, death=Death.CUT, dies_at=0.4), *dead, parcel=parcel)
    assert carried.whole == others(*dead)


@pytest.mark.parametrize("shape", [Shape.CHAIN, Shape.TREE, Shape.STAR])
def test_many_hosts_that_freeze_with_full_connections_hold_up_nobody(shape: Shape, parcel: Parcel) -> None:
    """Each holds whoever sends to it for ever: it reads nothing more, and its connection stays open."""
    natures = {
        f"worker-{number}": Nature(rate=RATE, death=Death.FROZEN, dies_at=0.2) if number % 5 else ORDINARY
        for number in range(80)
    }
    carried = carry(natures, {host: [parcel] for host in natures}, FanOutSettings(shape=shape))
    assert carried.whole == {host for host, nature in natures.items() if nature.death is None}


def test_a_host_that_cannot_be_connected_to_fails_alone(parcel: Parcel) -> None:
    carried = carry_past(Nature(is_reachable=False), FIRST, parcel=parcel)
    assert carried.whole == others(FIRST)
    failure = carried.outcomes[FIRST].failure
    assert failure is not None
    assert failure.message == "there is no route to worker-0"


def test_a_host_that_comes_late_holds_up_nobody_and_is_served(parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, ready_after_s=20), FIRST, parcel=parcel)
    assert carried.whole == set(HOSTS)
    assert max(carried.whole_s(host) for host in others(FIRST)) < 10
    assert carried.report.controller_bytes <= ONE_COPY


def test_a_host_that_never_says_what_it_holds_is_given_up(parcel: Parcel) -> None:
    carried = carry_past(Nature(ready_after_s=1e9), FIRST, parcel=parcel)
    assert carried.whole == others(FIRST)
    assert carried.outcomes[FIRST].failure is not None
    assert max(carried.whole_s(host) for host in others(FIRST)) < 10


@pytest.mark.parametrize("host", [FIRST, MIDDLE, LAST])
@pytest.mark.parametrize("peers", [Peers.REFUSED, Peers.DROPPED])
def test_a_host_that_no_other_one_reaches_is_served_by_the_controller(peers: Peers, host: str, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, peers=peers), host, parcel=parcel)
    assert carried.whole == set(HOSTS)
    assert host in carried.report.fallen_back or host == FIRST
    assert carried.report.controller_bytes <= 2 * ONE_COPY


@pytest.mark.parametrize("peers", [Peers.REFUSED, Peers.DROPPED])
def test_hosts_that_do_not_reach_each_other_are_served_by_the_controller_and_it_is_told_once(
    peers: Peers, parcel: Parcel
) -> None:
    carried = carry_past(Nature(rate=RATE, peers=peers), *HOSTS, parcel=parcel)
    assert carried.whole == set(HOSTS)
    assert carried.report.peer_bytes == 0
    assert set(carried.report.fallen_back) == others(FIRST)
    assert len(carried.reporter.of(Note)) == 1


def test_a_host_without_a_port_is_served_and_serves_nobody(parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, has_port=False), FIRST, MIDDLE, parcel=parcel)
    assert carried.whole == set(HOSTS)
    assert [carried.relays(host)[0].served_bytes for host in (FIRST, MIDDLE)] == [0, 0]


def test_hosts_without_ports_are_all_served_by_the_controller(parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, has_port=False), *HOSTS, parcel=parcel)
    assert carried.whole == set(HOSTS)


@pytest.mark.parametrize("host", [FIRST, MIDDLE])
def test_a_host_that_serves_wrong_bytes_is_named_and_serves_nobody(host: str, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, service=Service.WRONG_BYTES), host, parcel=parcel)
    assert carried.whole == set(HOSTS)
    assert carried.relays(host)[0].served_bytes == 0
    assert len(notes_about(carried, host)) == 1
    assert carried.report.fallen_back == ()
    assert host not in carried.report.topology.parents.values()


@pytest.mark.parametrize("host", [FIRST, MIDDLE])
@pytest.mark.parametrize("service", [Service.NOTHING, Service.STRANGER])
def test_the_child_of_a_host_that_serves_badly_takes_from_another_one(
    service: Service, host: str, parcel: Parcel
) -> None:
    carried = carry_past(Nature(rate=RATE, service=service), host, parcel=parcel)
    assert carried.whole == set(HOSTS)
    assert carried.relays(host)[0].served_bytes == 0


def test_the_children_of_a_host_that_serves_badly_find_each_other(parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, service=Service.NOTHING), *HOSTS[:4], parcel=parcel)
    assert carried.whole == set(HOSTS)


@pytest.mark.parametrize("host", [FIRST, MIDDLE, LAST])
@pytest.mark.parametrize("is_disk_foreseen", [True, False])
def test_a_host_whose_disk_is_full_fails_alone(*, is_disk_foreseen: bool, host: str, parcel: Parcel) -> None:
    carried = carry_past(Nature(rate=RATE, disk=0.5, is_disk_foreseen=is_disk_foreseen), host, parcel=parcel)
    assert carried.whole == others(host)
    failure = carried.outcomes[host].failure
    assert failure is not None
    assert failure.exit_code is ExitCode.TRANSFER
    assert bool(carried.relays(host)[0].received_bytes) is not is_disk_foreseen


@pytest.mark.parametrize("host", [FIRST, MIDDLE, LAST])
def test_a_slow_host_delays_nobody_but_itself(host: str, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, size_bytes=3 * SIZE_BYTES)
    carried = carry_past(Nature(rate=RATE / 10), host, parcel=parcel, ordinary=Nature(rate=2 * RATE))
    assert carried.whole == set(HOSTS)
    assert max(carried.whole_s(other) for other in others(host)) < carried.whole_s(host) / 4


def test_two_slow_hosts_delay_nobody_but_themselves(tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, size_bytes=3 * SIZE_BYTES)
    slow = ("worker-2", "worker-3")
    carried = carry_past(Nature(rate=RATE / 10), *slow, parcel=parcel, ordinary=Nature(rate=2 * RATE))
    assert carried.whole == set(HOSTS)
    assert max(carried.whole_s(other) for other in others(*slow)) < min(map(carried.whole_s, slow)) / 4


@pytest.mark.parametrize("death", [Death.KILLED, Death.CUT])
@pytest.mark.parametrize("host", [FIRST, MIDDLE])
def test_when_the_one_that_takes_for_a_file_system_dies_another_one_takes(
    host: str, death: Death, parcel: Parcel
) -> None:
    start = HOSTS.index(host)
    natures = {
        name: Nature(
            rate=RATE,
            filesystem="home" if start <= number < start + 3 else None,
            ready_after_s=0 if name == host else 0.5,
            death=death if name == host else None,
        )
        for number, name in enumerate(HOSTS)
    }
    carried = carry(natures, {name: [parcel] for name in HOSTS})
    assert carried.whole == others(host)


@pytest.mark.parametrize("death", Death)
def test_a_dead_seed_is_replaced(death: Death, parcel: Parcel) -> None:
    natures = dict.fromkeys(HOSTS, ORDINARY) | {MIDDLE: Nature(held=1, death=death, dies_at=1)}
    carried = carry(natures, {host: [parcel] for host in HOSTS})
    assert carried.whole >= others(MIDDLE)


def test_a_file_that_is_gone_fails_every_host(tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path)
    parcel.source.unlink()
    carried = carry_past(ORDINARY, parcel=parcel)
    failures = [outcome.failure for outcome in carried.outcomes.values()]
    assert [failure.exit_code for failure in failures if failure] == [ExitCode.TRANSFER] * 8


def test_a_file_that_is_not_what_its_digest_says_is_not_sent(tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path)
    parcel.source.write_bytes(bytes(SIZE_BYTES))
    carried = carry_past(ORDINARY, parcel=parcel)
    assert carried.whole == set()
    assert carried.report.controller_bytes == 0
