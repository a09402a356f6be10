"""`--include` and `--exclude`: DeepSpeed's rules, and ranges."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from upstream_rules import RefusedError, filtered_upstream

from orchestrator.config.filters import apply_filters
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model.hosts import Host

COUNTS = {"a": 4, "b": 1, "c": 0, "worker-10": 3}
HOSTS = tuple(Host(name=name, slots=tuple(range(count)), user="ml") for name, count in COUNTS.items())


def chosen(*, include: str = "", exclude: str = "") -> dict[str, list[int]]:
    return {host.name: list(host.slots) for host in apply_filters(HOSTS, include=include, exclude=exclude)}


WORDS = st.sampled_from(["a", "b", "c", "worker-10", "x", "", ":0", ":1", ":0,1", ":0,3", ":1,1", ":", ":0,", ": 2"])
FILTERS = st.lists(st.tuples(WORDS, WORDS).map("".join), min_size=1, max_size=4).map("@".join)


@given(FILTERS, st.booleans())
@example("a@a:0", True)  # noqa: FBT003 - hypothesis takes examples by position
@example("a:0@a", False)  # noqa: FBT003
@example("a:+1,0_0", True)  # noqa: FBT003
def test_deepspeed_and_we_choose_the_same(text: str, is_include: bool) -> None:  # noqa: FBT001
    include, exclude = (text, "") if is_include else ("", text)
    try:
        expected = filtered_upstream(COUNTS, include, exclude)
    except RefusedError:
        expected = {}
    if expected:
        assert chosen(include=include, exclude=exclude) == expected
    else:
        with pytest.raises(UsageError):
            chosen(include=include, exclude=exclude)


def test_without_a_filter_all_hosts_stay_as_they_are() -> None:
    assert apply_filters(HOSTS, include="", exclude="") == HOSTS


def test_the_order_is_that_of_the_hostfile_and_our_words_stay() -> None:
    hosts = apply_filters(HOSTS, include="worker-10:2@a:3,1", exclude="")
    assert hosts == (Host(name="a", slots=(1, 3), user="ml"), Host(name="worker-10", slots=(2,), user="ml"))


def test_both_together_are_refused() -> None:
    with pytest.raises(UsageError):
        chosen(include="a", exclude="b")


def test_ranges_name_hosts() -> None:
    hosts = tuple(Host(name=f"w-{number}", slots=(0, 1)) for number in range(6))
    left = apply_filters(hosts, include="w-[1-3]:0@w-5", exclude="")
    assert [(host.name, host.slots) for host in left] == [
        ("w-1", (0,)),
        ("w-2", (0,)),
        ("w-3", (0,)),
        ("w-5", (0, 1)),
    ]
    assert len(apply_filters(hosts, include="", exclude="w-[0-4]")) == 1


def test_nothing_left_is_refused() -> None:
    with pytest.raises(UsageError):
        chosen(exclude="a@b@c@worker-10")


def test_all_faults_of_a_filter_are_told_at_once_with_near_names_and_the_slots_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(include="worker-1@a:7@b:x")
    messages = [fault.message for fault in caught.value.faults]
    assert len(messages) == 3
    assert "did you mean worker-10?" in messages[0]
    assert "0 to 3" in messages[1]
