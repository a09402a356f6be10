"""Racks that names tell."""

from __future__ import annotations

import pytest

from orchestrator.planning.racks import racks_in_names


@pytest.mark.parametrize(
    ("host", "rack"),
    [
        ("r12n03", "r12"),
        ("rack2-node5", "rack2"),
        ("rack-2-node5", "rack-2"),
        ("node-r1-02", "r1"),
        ("c1r2n3", "r2"),
        ("n03r12", "r12"),
        ("Rack_07.gpu1", "Rack_07"),
        ("node5.rack2.example", "rack2"),
        ("ml@r1n1", "r1"),
    ],
)
def test_a_rack_word_is_read_as_written(host: str, rack: str) -> None:
    assert racks_in_names([host]) == {host: rack}


@pytest.mark.parametrize("host", ["worker-0", "gpu-server3", "router1", "rank0", "rack-a", "10.77.0.1", "dr1", "r"])
def test_other_names_tell_no_rack(host: str) -> None:
    assert racks_in_names([host]) == {}


def test_one_name_without_a_rack_leaves_all_without() -> None:
    assert racks_in_names(["r1n1", "r1n2", "login"]) == {}


def test_racks_of_no_hosts_are_none() -> None:
    assert racks_in_names([]) == {}
