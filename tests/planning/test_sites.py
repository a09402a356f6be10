"""Hosts that share one installation: who writes it, who may share it, and what they know together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.pasts import FRESH, make_kept, make_stamp, on_disk
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import PlanError
from orchestrator.model.facts import Disk, Facts
from orchestrator.planning.sites import check_bystanders, find_shared, make_sites, remember_together


def same(facts: dict[str, Facts]) -> dict[str, str | None]:
    """One version for all of them."""
    return dict.fromkeys(facts, "1.0+a")


def test_the_first_of_the_hosts_that_share_an_installation_writes_it() -> None:
    facts = {"b": on_disk("nfs"), "a": on_disk("nfs"), "own": on_disk("sda"), "c": on_disk("nfs")}
    assert make_sites(facts, same(facts)) == {"b": "b", "a": "b", "own": "own", "c": "b"}


@pytest.mark.parametrize(
    "other",
    [
        on_disk("other"),
        on_disk("nfs", prefix="/opt/venv2"),
        on_disk(None),
        FRESH,
        replace(on_disk("nfs"), interpreter=None),
    ],
    ids=["other-file-system", "other-prefix", "cannot-be-told", "not-asked", "no-interpreter"],
)
def test_a_host_with_an_installation_of_its_own_writes_it_itself(other: Facts) -> None:
    facts = {"a": on_disk("nfs"), "b": other}
    assert make_sites(facts, same(facts)) == {"a": "a", "b": "b"}


def test_two_hosts_of_which_nothing_can_be_told_share_nothing() -> None:
    facts = {"a": on_disk(None), "b": on_disk(None)}
    assert find_shared(facts) == ()


def test_a_shared_cache_is_no_shared_installation() -> None:
    cache = Disk(role="cache", path="/home/u/.cache", free_bytes=1, filesystem_id="home")
    facts = dict.fromkeys("ab", replace(FRESH, disks=(cache,)))
    assert find_shared(facts) == ()


def test_two_kinds_of_host_in_one_environment_are_refused_by_name() -> None:
    facts = dict.fromkeys(("worker-0", "worker-1", "worker-2"), on_disk("nfs"))
    versions = {"worker-0": "1.0+sm90", "worker-1": "1.0+sm90", "worker-2": "1.0+sm80"}
    with pytest.raises(PlanError) as refused:
        make_sites(facts, versions)
    assert "worker-[0-2] share /opt/venv" in refused.value.message
    assert "worker-[0-1]: DeepSpeed 1.0+sm90" in refused.value.message
    assert "worker-2: DeepSpeed 1.0+sm80" in refused.value.message
    assert refused.value.hint is not None


def test_two_kinds_of_host_in_environments_of_their_own_are_fine() -> None:
    facts = {"a": on_disk("one"), "b": on_disk("two")}
    assert make_sites(facts, {"a": "1.0+sm90", "b": None}) == {"a": "a", "b": "b"}


def test_an_environment_cannot_have_deepspeed_on_one_host_and_not_on_another() -> None:
    facts = {"a": on_disk("nfs"), "b": on_disk("nfs")}
    with pytest.raises(PlanError, match="no DeepSpeed"):
        make_sites(facts, {"a": "1.0", "b": None})


def test_a_host_that_cannot_take_the_wheel_is_not_changed_by_one_that_can() -> None:
    facts = {"a": on_disk("nfs"), "b": on_disk("nfs"), "c": on_disk("sda"), "d": on_disk("sdb")}
    check_bystanders(facts, ["a", "c"], {"d": "no torch"})
    check_bystanders(facts, ["c"], {"a": "no torch", "b": "no torch"})
    with pytest.raises(PlanError, match=r"a would change the installation of b too.*no torch"):
        check_bystanders(facts, ["a", "c"], {"b": "no torch"})


def test_hosts_that_share_remember_what_the_one_that_wrote_does() -> None:
    kept = (make_kept("d2", make_stamp("d1")),)
    writer = on_disk("nfs", facts=replace(FRESH, stamp=make_stamp("d2"), kept=kept))
    follower = on_disk("nfs", facts=replace(FRESH, stamp=make_stamp("d2")))
    newcomer = on_disk("nfs")
    together = remember_together({"new": newcomer, "follower": follower, "writer": writer, "alone": FRESH})
    assert {host: found.kept for host, found in together.items()} == {
        "new": kept, "follower": kept, "writer": kept, "alone": (),
    }  # fmt: skip
    assert together["new"].stamp == writer.stamp
    assert together["alone"] == FRESH


def test_the_newest_memory_of_an_installation_holds() -> None:
    old = on_disk("nfs", facts=replace(FRESH, stamp=make_stamp("d1"), kept=(make_kept("d1", None),)))
    new = on_disk("nfs", facts=replace(FRESH, stamp=make_stamp("d2")))
    assert remember_together({"a": old, "b": new})["a"].stamp == new.stamp


@given(st.lists(st.tuples(st.sampled_from(["nfs", "sda", None]), st.sampled_from(["/a", "/b"])), max_size=8))
def test_every_host_has_one_writer_which_writes_for_itself_and_stands_first(
    places: list[tuple[str | None, str]],
) -> None:
    facts = {f"h{number}": on_disk(place, prefix=prefix) for number, (place, prefix) in enumerate(places)}
    sites = make_sites(facts, same(facts))
    order = list(facts)
    assert list(sites) == order
    assert all(sites[writer] == writer for writer in sites.values())
    assert all(order.index(writer) <= order.index(host) for host, writer in sites.items())
    assert all((places[order.index(host)] == places[order.index(writer)]) for host, writer in sites.items())
