from __future__ import annotations

from pathlib import Path

import pytest
from testcluster import addresses, links
from testcluster.design import design_cluster, find_common_rate
from testcluster.errors import ClusterError
from testcluster.faults import Fault, Order, parse_order
from testcluster.state import Network, Options

OPTIONS = Options(
    count=3,
    network="auto",
    rates=("200mbit", "10mbit:1"),
    gpus=(),
    python="/usr/bin/python3",
    torch=None,
    disk_mb=2048,
)


@pytest.mark.parametrize(("text", "bits"), [("200mbit", 2e8), ("1.5gbit", 1.5e9), ("64kbit", 64e3)])
def test_a_rate_is_read_in_bits_per_second(text: str, bits: float) -> None:
    assert links.parse_rate(text) == bits


@pytest.mark.parametrize("text", ["", "200", "0mbit", "200 mbit", "200mbit; reboot", "-1mbit"])
def test_words_that_are_no_rate_are_refused(text: str) -> None:
    with pytest.raises(ClusterError):
        links.parse_rate(text)


def test_without_a_rate_nothing_is_shaped() -> None:
    assert links.shape_batch("eth0", None) == []


def test_the_burst_lets_ten_milliseconds_through() -> None:
    assert links.shape_batch("eth0", "200mbit") == [
        "qdisc replace dev eth0 root tbf rate 200mbit burst 250000 latency 100ms"
    ]


def test_the_burst_of_a_slow_link_still_holds_a_whole_packet_before_segmentation() -> None:
    assert links.shape_batch("eth0", "1mbit") == [
        "qdisc replace dev eth0 root tbf rate 1mbit burst 68000 latency 100ms"
    ]


def test_every_other_host_is_a_permanent_neighbour() -> None:
    lines = links.device_batch(addresses.inside_address(1), count=3)
    neighbours = [line.split()[2] for line in lines if line.startswith("neigh")]
    assert neighbours == ["10.77.0.1", "10.77.0.11", "10.77.0.13"]


def test_a_rate_of_one_host_is_its_alone_and_the_controller_has_that_of_all() -> None:
    cluster = design_cluster(
        Path("/state/default"), OPTIONS, (Network.NAMESPACES, "a test"), user="ml", count_gpus=lambda _capture: 8
    )
    assert [host.rate for host in cluster.hosts] == ["200mbit", "10mbit", "200mbit"]
    assert find_common_rate(OPTIONS) == "200mbit"


def test_a_link_that_was_free_is_freed_again() -> None:
    assert links.reshape_batch("eth0", None) == ["qdisc del dev eth0 root"]
    assert links.reshape_batch("eth0", "200mbit") == links.shape_batch("eth0", "200mbit")


def test_a_silenced_host_still_speaks_to_the_controller_and_its_neighbours_come_back() -> None:
    address = addresses.inside_address(1)
    silenced, known = (batch(address, count=3) for batch in (links.silence_batch, links.neighbour_batch))
    assert [line.split()[2] for line in silenced] == [line.split()[2] for line in known] == ["10.77.0.11", "10.77.0.13"]
    hardware = {addresses.hardware_address(index) for index in range(3)}
    assert {line.split()[4] for line in known} < hardware
    assert {line.split()[4] for line in silenced}.isdisjoint(hardware)


def test_every_rule_of_a_refusal_is_undone() -> None:
    added = {line.split()[3] for line in links.refusal_batch("10.77.0.12") if line.startswith("rule add")}
    removed = {line.split()[3] for line in links.end_refusal_batch() if line.startswith("rule del")}
    assert added == removed
    assert links.refusal_batch("10.77.0.12")[-1] == "rule del pref 0"
    assert links.end_refusal_batch()[0] == "rule add pref 0 lookup local"


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("drop", Order(fault=Fault.DROP)),
        ("slow", Order(fault=Fault.SLOW, amount="10mbit")),
        ("slow:5mbit", Order(fault=Fault.SLOW, amount="5mbit")),
        ("fill:8", Order(fault=Fault.FILL, amount="8")),
    ],
)
def test_a_fault_may_say_how_much_and_survives_its_own_text(text: str, order: Order) -> None:
    assert parse_order(text) == order
    assert parse_order(str(order)) == order


@pytest.mark.parametrize("text", ["", "explode", "drop:1", "slow:", "slow:fast", "fill:", "fill:-1", "save"])
def test_a_word_that_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ClusterError) as caught:
        parse_order(text)
    assert caught.value.hint
