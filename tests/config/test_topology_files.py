"""Topology files: ClusterShell's grammar, and what of it we read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.config.hostfile import load_hostfile
from orchestrator.config.topology import load_racks, parse_racks
from orchestrator.errors import ConfigError, ExitCode, UsageError

HOSTFILES = Path(__file__).parents[2] / "hostfiles"


def parsed(*lines: str) -> dict[str, str]:
    return dict(parse_racks("\n".join(lines), source="topology.conf"))


def routed(*lines: str) -> dict[str, str]:
    return parsed("[routes]", *lines)


def faults_of(*lines: str) -> list[tuple[int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        parsed(*lines)
    return [(fault.line, fault.message) for fault in caught.value.faults]


def test_hosts_behind_the_same_gateways_are_one_rack() -> None:
    racks = routed("rio0: rio[10-13]", "rio[10-11]: rio[100-240]", "rio[12-13]: rio[300-440]")
    assert {racks[f"rio{number}"] for number in range(100, 241)} == {"rio[10-11]"}
    assert {racks[f"rio{number}"] for number in range(300, 441)} == {"rio[12-13]"}


def test_a_gateway_is_in_the_rack_that_it_serves() -> None:
    assert routed("login: a0,b0,c", "a0: a1", "b0: b1") == {
        "login": "login",
        "c": "login",
        "a0": "a0",
        "a1": "a0",
        "b0": "b0",
        "b1": "b0",
    }


def test_a_gateway_of_two_racks_is_in_the_first() -> None:
    assert routed("g[1-2]: a", "g[2-3]: b") == {
        "a": "g[1-2]",
        "b": "g[2-3]",
        "g1": "g[1-2]",
        "g2": "g[1-2]",
        "g3": "g[2-3]",
    }


def test_two_lines_for_the_same_gateways_are_one_rack() -> None:
    assert routed("g1,g2: a", "g[2,1]: b") == dict.fromkeys(["g1", "g2", "a", "b"], "g1,g2")


@pytest.mark.parametrize(
    ("node_set", "hosts"),
    [
        ("n[1-3,20]", ["n1", "n2", "n3", "n20"]),
        ("n[001-003]", ["n001", "n002", "n003"]),
        ("a, b,n[1, 3] ,c", ["a", "b", "n1", "n3", "c"]),
        ("n[1-2]-ib[3,4]", ["n1-ib3", "n1-ib4", "n2-ib3", "n2-ib4"]),
        ("10.0.0.[8-10]", ["10.0.0.8", "10.0.0.9", "10.0.0.10"]),
        ("a,a", ["a"]),
        ("::1", ["::1"]),
        ("", []),
    ],
)
def test_node_sets_are_read(node_set: str, hosts: list[str]) -> None:
    assert list(routed(f"gw: {node_set}")) == [*hosts, "gw"]


@pytest.mark.parametrize(
    "lines",
    [
        ("[routes]", "g: a,b"),
        ("[routes]", "g = a,b"),
        ("[Main]", "g: a,b"),
        ("[Main]", "x: y", "[routes]", "g: a,b"),
        ("# note", "", "[routes] # note", "  ; note", "g: a,b  # note"),
        ("[routes]", "  g: a,b"),
        ("[routes]", "g: a,", "", "  # note", "   b"),
        ("[routes]", "g:", " a", " ,b"),
        ("[routes]\r", "g: a,b\r"),
    ],
)
def test_layouts_that_clustershell_reads_are_read_alike(lines: tuple[str, ...]) -> None:
    assert parsed(*lines) == {"a": "g", "b": "g", "g": "g"}


def test_a_line_that_is_indented_no_deeper_is_a_route_of_its_own() -> None:
    assert routed("  g: a", "  h: b") == {"a": "g", "g": "g", "b": "h", "h": "h"}


def test_routes_may_be_empty() -> None:
    assert routed() == {}


def test_a_file_without_routes_is_refused() -> None:
    assert faults_of("[Routes]", "g: a") == [(None, "has no section [routes]")]


def test_every_fault_is_told_with_its_line_and_value() -> None:
    assert faults_of(
        "g: a",
        "[routes]",
        "g: n[3-1]",
        "junk",
        "h: a b",
        ": c",
        "i: d,",
        "j: -oProxyCommand=x",
        "k: n[1-8/2]",
    ) == [
        (1, "expected [routes], found 'g: a'"),
        (3, "'n[3-1]': [3-1] runs backwards"),
        (4, "expected `GATEWAYS: HOSTS`, found 'junk'"),
        (5, "the host name 'a b' holds a space or a control character"),
        (6, "expected `GATEWAYS: HOSTS`, found ': c'"),
        (7, "the host name is empty"),
        (8, "the host name '-oProxyCommand=x' begins with `-`: programs would take it for an option"),
        (9, "'n[1-8/2]': `[1-8/2]` is no range: numbers are meant, like [0-3,8]"),
    ]


@pytest.mark.parametrize("node_set", ["@rack1", "n[1-3]!n2", "n*", "n?", "a&b", "a^b", "@all:g[1-2]"])
def test_what_only_clustershell_resolves_is_refused(node_set: str) -> None:
    ((line, message),) = faults_of("[routes]", f"g: {node_set}")
    assert line == 2
    assert message.startswith(repr(node_set))


def test_a_host_behind_two_sets_of_gateways_is_refused() -> None:
    assert faults_of("[routes]", "g: a,b", "h: b,c") == [(3, "b: behind g already")]


def test_a_section_that_is_there_twice_is_refused() -> None:
    assert faults_of("[routes]", "g: a", "[routes]", " h: b") == [(3, "[routes] is there twice")]


def test_more_hosts_than_any_cluster_has_are_refused() -> None:
    assert faults_of("[routes]", "g: a[1-65536]", "h: b", "i: c") == [(3, "more than 65536 hosts")]


def test_slurms_file_of_the_same_name_is_told_apart() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed("SwitchName=s0 Nodes=tux[0-5]")
    assert "Slurm" in str(caught.value.hint)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_racks(tmp_path / "topology.conf")
    assert caught.value.exit_code is ExitCode.USAGE


def test_the_example_puts_each_host_of_its_hostfile_into_one_of_four_racks() -> None:
    racks = load_racks(HOSTFILES / "four-racks.topology.conf")
    names = Counter(racks[host.name] for host in load_hostfile(HOSTFILES / "four-racks"))
    assert names == {"node01": 8, "node02": 8, "node03": 8, "node04": 8}
