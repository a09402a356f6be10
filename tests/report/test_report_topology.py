from __future__ import annotations

from collections.abc import Mapping

from report_samples import drawn

from orchestrator.model.fanout import Topology
from orchestrator.report.page import Drawing
from orchestrator.report.topology import draw_topology


def lines(parents: Mapping[str, str | None], *, encoding: str = "utf-8") -> list[str]:
    topology = Topology(parents=parents)
    text = drawn(Drawing(lambda _: draw_topology(topology)), encoding=encoding, width=200)
    return [line.rstrip() for line in text.splitlines()]


def chain(hosts: list[str], first: str | None = None) -> dict[str, str | None]:
    return dict(zip(hosts, [first, *hosts], strict=False))


def test_a_chain_of_thousands_takes_one_line() -> None:
    hosts = [f"worker-{number}" for number in range(10_000)]
    assert lines(chain(hosts)) == ["controller", "└── worker-[0-9999] one after another"]


def test_a_single_host_stands_alone() -> None:
    assert lines({"worker-0": None}) == ["controller", "└── worker-0"]


def test_names_keep_the_order_in_which_the_hosts_serve_each_other() -> None:
    hosts = ["r2n08", "r2n09", "r2n10", "r1n01", "r1n02", "login", "r1n00"]
    (_, line) = lines(chain(hosts))
    assert line == "└── r2n[08-10], r1n[01-02], login, r1n00 one after another"


def test_neighbours_that_differ_in_more_than_one_number_are_not_one_stretch() -> None:
    (_, line) = lines(chain(["r1n1", "r2n2", "r2n3", "10.0.0.9", "10.0.0.10"]))
    assert line == "└── r1n1, r2n[2-3], 10.0.0.[9-10] one after another"


def test_a_tree_branches_and_its_leaves_stand_side_by_side() -> None:
    parents = {"n0": None, "n1": "n0", "n4": "n0", "n2": "n1", "n3": "n1", "n5": "n4", "n6": "n4"}
    assert lines(parents) == [
        "controller",
        "└── n0",
        "    ├── n1",
        "    │   └── n[2-3] side by side",
        "    └── n4",
        "        └── n[5-6] side by side",
    ]


def test_a_branch_that_ends_in_a_chain_is_folded_too() -> None:
    parents = {"n0": None, "n1": "n0", **chain(["n2", "n3", "n4"], "n0")}
    assert lines(parents) == ["controller", "└── n0", "    ├── n1", "    └── n[2-4] one after another"]


def test_a_star_has_all_hosts_side_by_side() -> None:
    parents = {f"worker-{number}": None for number in range(64)}
    assert lines(parents) == ["controller", "└── worker-[0-63] side by side"]


def test_a_seed_has_a_tree_of_its_own_and_is_said_to_hold_the_files() -> None:
    parents = {"n1": "n0", "n2": "n1", "n3": None}
    assert lines(parents) == [
        "n0 holds it already",
        "└── n[1-2] one after another",
        "controller",
        "└── n3",
    ]


def test_without_unicode_the_tree_is_ascii() -> None:
    parents = {"n0": None, "n1": "n0", "n3": "n0", "n4": "n3"}
    assert lines(parents, encoding="ascii") == [
        "controller",
        "`-- n0",
        "    +-- n1",
        "    `-- n[3-4] one after another",
    ]
