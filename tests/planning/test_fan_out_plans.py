"""Laws of the fan-out: who takes from whom, how far the last host is, and in which pieces files travel."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.model.fanout import Shape, Topology
from orchestrator.planning.fanout import (
    ChunkSizes,
    choose_chunks,
    choose_degree,
    depth_of,
    make_topology,
    order_hosts,
)

MB = 1_000_000
HOST_COUNTS = st.integers(0, 200)
DEGREES = st.integers(0, 5)
ROOTS = st.lists(st.sampled_from([None, "seed-0", "seed-1", "seed-2"]), min_size=1, max_size=4, unique=True)
PLACES = st.lists(st.sampled_from(["A", "B", "C", None]), max_size=60)


def named(count: int) -> list[str]:
    return [f"worker-{number}" for number in range(count)]


def planned(count: int, degree: int, *roots: str | None) -> Topology:
    return make_topology(named(count), roots=roots or [None], degree=degree)


def depths(topology: Topology) -> dict[str, int]:
    """How many hops away each host's files are; fails unless parents come before their children."""
    found: dict[str | None, int] = {root: 0 for root in topology.parents.values() if root not in topology.parents}
    for host, parent in topology.parents.items():
        found[host] = found[parent] + 1
    return {host: found[host] for host in topology.parents}


def crossings(topology: Topology, racks: dict[str, str]) -> int:
    return sum(racks.get(host) != racks.get(parent) for host, parent in topology.parents.items() if parent is not None)


def test_a_chain_goes_through_the_hosts_in_order() -> None:
    assert planned(3, 1).parents == {"worker-0": None, "worker-1": "worker-0", "worker-2": "worker-1"}


def test_a_binary_tree_gives_each_half_of_the_rest_to_its_first_host() -> None:
    assert planned(7, 2).children == {
        None: ("worker-0",),
        "worker-0": ("worker-1", "worker-4"),
        "worker-1": ("worker-2", "worker-3"),
        "worker-4": ("worker-5", "worker-6"),
    }


def test_a_star_has_no_relays() -> None:
    assert planned(3, 0).children == {None: ("worker-0", "worker-1", "worker-2")}


def test_several_roots_make_several_chains() -> None:
    assert planned(5, 1, None, "seed").children == {
        None: ("worker-0",),
        "worker-0": ("worker-1",),
        "worker-1": ("worker-2",),
        "seed": ("worker-3",),
        "worker-3": ("worker-4",),
    }


def test_roots_in_a_star_share_the_hosts() -> None:
    assert planned(3, 0, "seed", None).children == {"seed": ("worker-0", "worker-1"), None: ("worker-2",)}


def test_a_fan_out_without_a_root_is_refused() -> None:
    with pytest.raises(ValueError, match="root"):
        make_topology(["worker-0"], roots=[], degree=1)


@given(HOST_COUNTS, DEGREES, ROOTS)
@example(count=0, degree=2, roots=[None])
@example(count=2, degree=1, roots=[None, "seed-0", "seed-1"])
def test_every_host_takes_once_from_a_root_or_from_a_host_that_comes_before_it(
    count: int, degree: int, roots: list[str | None]
) -> None:
    topology = planned(count, degree, *roots)
    assert sorted(depths(topology)) == sorted(named(count))
    assert set(topology.parents.values()) <= {*roots, *named(count)}


@given(HOST_COUNTS, DEGREES, ROOTS)
def test_no_host_serves_more_than_asked(count: int, degree: int, roots: list[str | None]) -> None:
    children = planned(count, degree, *roots).children
    assert all(len(children.get(host, ())) <= degree for host in named(count))


@given(HOST_COUNTS, st.integers(1, 5), ROOTS)
def test_no_root_serves_more_than_one_host_unless_in_a_star(count: int, degree: int, roots: list[str | None]) -> None:
    children = planned(count, degree, *roots).children
    assert sum(len(children.get(root, ())) for root in roots) == min(count, len(roots))


@given(HOST_COUNTS, DEGREES, ROOTS)
def test_the_depth_is_as_computed(count: int, degree: int, roots: list[str | None]) -> None:
    largest_stretch = -(-count // len(roots))
    found = depths(planned(count, degree, *roots))
    assert max(found.values(), default=0) == depth_of(largest_stretch, degree)


@given(st.integers(1, 200), st.integers(1, 5))
def test_no_tree_of_that_degree_is_flatter(count: int, degree: int) -> None:
    fits_in_one_level_less = sum(degree**level for level in range(depth_of(count, degree) - 1))
    assert fits_in_one_level_less < count


@given(HOST_COUNTS, DEGREES, ROOTS)
def test_equal_inputs_give_equal_plans(count: int, degree: int, roots: list[str | None]) -> None:
    first, second = planned(count, degree, *roots), planned(count, degree, *roots)
    assert list(first.parents.items()) == list(second.parents.items())


@given(HOST_COUNTS, st.integers(1, 5))
def test_a_host_and_all_below_it_are_neighbours_and_it_is_their_first(count: int, degree: int) -> None:
    parents = planned(count, degree).parents
    places = {host: {place} for place, host in enumerate(named(count))}
    for host in reversed(list(parents)):
        first = min(places[host])
        assert places[host] == set(range(first, first + len(places[host])))
        assert host == f"worker-{first}"
        parent = parents[host]
        if parent is not None:
            places[parent] |= places[host]


def test_a_chain_of_ten_thousand_hosts_is_no_deeper_than_python_goes() -> None:
    assert max(depths(planned(10_000, 1)).values()) == 10_000


def test_hosts_are_ordered_rack_by_rack_as_the_racks_first_appear() -> None:
    racks = {"a": "R2", "b": "R1", "c": "R2", "e": "R1"}
    assert order_hosts("abcde", racks) == ("a", "c", "b", "e", "d")


def test_hosts_without_a_rack_are_together() -> None:
    assert order_hosts("abcd", {"b": "R1"}) == ("a", "c", "d", "b")


@given(PLACES)
def test_ordering_keeps_every_host_and_the_order_within_a_rack(places: list[str | None]) -> None:
    hosts = named(len(places))
    racks = {host: rack for host, rack in zip(hosts, places, strict=True) if rack}
    ordered = order_hosts(hosts, racks)
    for rack in {*places}:
        assert [host for host in ordered if racks.get(host) == rack] == [
            host for host in hosts if racks.get(host) == rack
        ]
    assert sorted(ordered) == sorted(hosts)
    assert order_hosts(ordered, racks) == ordered


@given(PLACES)
def test_a_chain_in_rack_order_crosses_each_boundary_between_racks_once(places: list[str | None]) -> None:
    hosts = named(len(places))
    racks = {host: rack for host, rack in zip(hosts, places, strict=True) if rack}
    chain = make_topology(order_hosts(hosts, racks), roots=[None], degree=1)
    assert crossings(chain, racks) == max(len(set(places)) - 1, 0)


@pytest.mark.parametrize("host_count", [1, 2, 8, 32, 64, 128])
def test_files_of_some_megabytes_go_down_a_chain(host_count: int) -> None:
    assert choose_degree(Shape.AUTO, host_count, 20 * MB) == 1


@pytest.mark.parametrize(
    ("host_count", "size_bytes", "degree"),
    [(128, MB // 10, 2), (1_000, 20 * MB, 2), (1_000, 200 * MB, 1), (10_000, 200 * MB, 2), (10_000, 0, 2)],
)
def test_auto_takes_a_tree_where_a_chains_hops_cost_more_than_a_second_copy(
    host_count: int, size_bytes: int, degree: int
) -> None:
    assert choose_degree(Shape.AUTO, host_count, size_bytes) == degree


@pytest.mark.parametrize(("shape", "degree"), [(Shape.STAR, 0), (Shape.CHAIN, 1), (Shape.TREE, 2)])
@pytest.mark.parametrize("host_count", [0, 1, 10_000])
def test_a_shape_that_was_asked_for_is_taken(shape: Shape, degree: int, host_count: int) -> None:
    assert choose_degree(shape, host_count, 20 * MB) == degree


@pytest.mark.parametrize(
    ("size_bytes", "host_count", "degree", "chunk_bytes"),
    [
        (50 * MB, 8, 1, 250_000),
        (20 * MB, 32, 1, 25_000),
        (20 * MB, 64, 1, 24_000),
        (20 * MB, 64, 2, 114_285),
        (200 * MB, 8, 1, 1_000_000),
        (200 * MB, 8, 0, 1024 * 1024),
        (0, 0, 1, 24_000),
    ],
)
def test_chunks_are_the_smaller_the_more_hosts_pass_them_on(
    size_bytes: int, host_count: int, degree: int, chunk_bytes: int
) -> None:
    assert choose_chunks(size_bytes, host_count, degree).chunk_bytes == chunk_bytes


def test_a_group_is_about_a_mebibyte_and_never_less_than_a_chunk() -> None:
    assert choose_chunks(20 * MB, 64, 1) == ChunkSizes(chunk_bytes=24_000, group_chunks=44)
    assert choose_chunks(10_000 * MB, 1, 1) == ChunkSizes(chunk_bytes=1024 * 1024, group_chunks=10)
    assert choose_chunks(100 * MB, 1, 1) == ChunkSizes(chunk_bytes=1024 * 1024, group_chunks=1)


@given(st.integers(0, 10**13), st.integers(0, 10_000), DEGREES)
@example(size_bytes=10**13, host_count=10_000, degree=1)
def test_pieces_keep_within_their_bounds(size_bytes: int, host_count: int, degree: int) -> None:
    sizes = choose_chunks(size_bytes, host_count, degree)
    assert 16_000 <= sizes.chunk_bytes <= 1024 * 1024
    assert 1 <= sizes.group_chunks <= 1024


@example(size_bytes=2**31 + 1, host_count=0, degree=0)
@given(st.integers(0, 10**11), st.integers(0, 10_000), DEGREES)
def test_one_file_has_a_thousand_groups_at_most(size_bytes: int, host_count: int, degree: int) -> None:
    sizes = choose_chunks(size_bytes, host_count, degree)
    assert -(-size_bytes // (sizes.chunk_bytes * sizes.group_chunks)) <= 1024
