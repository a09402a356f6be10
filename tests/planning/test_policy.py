from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.deployment import MaxFailures, OnFailure, Policy
from orchestrator.planning.policy import Course, decide_course, make_waves, spread_over_sites

HOSTS = tuple(f"h{number}" for number in range(9))


def drop(count: int = 0, percent: float | None = None) -> Policy:
    return Policy(on_failure=OnFailure.DROP_HOST, max_failures=MaxFailures(count=count, percent=percent))


@pytest.mark.parametrize(
    ("policy", "failed", "course"),
    [
        (Policy(), 0, Course.GO_ON),
        (Policy(), 1, Course.GO_BACK),
        (drop(1), 1, Course.GO_ON),
        (drop(1), 2, Course.GO_BACK),
        (drop(percent=20), 2, Course.GO_ON),
        (drop(percent=19), 2, Course.GO_BACK),
        (drop(percent=100), 10, Course.GO_ON),
        (Policy(on_failure=OnFailure.KEEP), 0, Course.GO_ON),
        (Policy(on_failure=OnFailure.KEEP), 9, Course.STOP),
    ],
)
def test_what_failures_mean_for_the_others(policy: Policy, failed: int, course: Course) -> None:
    assert decide_course(policy, failed=failed, total=10) is course


@pytest.mark.parametrize(
    ("policy", "sizes"),
    [
        (Policy(), [9]),
        (Policy(batch=4), [4, 4, 1]),
        (Policy(canary=1), [1, 8]),
        (Policy(canary=2, batch=3), [2, 3, 3, 1]),
        (Policy(canary=20), [9]),
        (Policy(canary=9, batch=1), [9]),
    ],
)
def test_canaries_go_first_and_then_batches(policy: Policy, sizes: list[int]) -> None:
    waves = make_waves(HOSTS, policy, {})
    assert [len(wave) for wave in waves] == sizes
    assert tuple(host for wave in waves for host in wave) == HOSTS


def test_hosts_that_share_an_installation_go_in_one_wave() -> None:
    sites = {"h1": "h1", "h7": "h1", "h8": "h1"}
    assert make_waves(HOSTS, Policy(batch=2), sites) == (("h0", "h1", "h7", "h8"), ("h2", "h3"), ("h4", "h5"), ("h6",))


def test_nobody_is_changed_where_nobody_is_to_be() -> None:
    assert make_waves((), Policy(canary=1, batch=1), {}) == ()


SITES = st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(HOSTS[:3]))


@given(canary=st.integers(0, 10), batch=st.none() | st.integers(1, 10), sites=SITES)
def test_every_host_is_in_one_wave_and_every_site_too(canary: int, batch: int | None, sites: dict[str, str]) -> None:
    waves = make_waves(HOSTS, Policy(canary=canary, batch=batch), sites)
    assert sorted(host for wave in waves for host in wave) == list(HOSTS)
    assert all(waves)
    wave_of = {host: index for index, wave in enumerate(waves) for host in wave}
    for host, writer in sites.items():
        mates = [each for each in HOSTS if sites.get(each, each) == writer]
        assert {wave_of[each] for each in mates} == {wave_of[host]}


@given(failed=st.sets(st.sampled_from(HOSTS)), sites=SITES)
def test_a_failure_takes_its_whole_site_along_and_nobody_else(failed: set[str], sites: dict[str, str]) -> None:
    lost = spread_over_sites(failed, HOSTS, sites)
    assert failed <= lost
    assert all(sites.get(host, host) in {sites.get(each, each) for each in failed} for host in lost)
    assert spread_over_sites(failed, HOSTS, {}) == failed
