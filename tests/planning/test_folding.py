from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.ranges import expand_range
from orchestrator.planning.folding import fold_hosts

_WORD = re.compile(r"(?:\[[^\]]*\]|[^,])+")


def expand(text: str) -> list[str]:
    """The hosts of a folded text, each word read as a hostfile reads it."""
    return [host for word in _WORD.findall(text) for host in expand_range(word)]


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([], ""),
        (["worker-0"], "worker-0"),
        (["worker-0", "worker-1", "worker-3"], "worker-[0-1,3]"),
        (["worker-3", "worker-0", "worker-1", "worker-0"], "worker-[0-1,3]"),
        (["node001", "node002", "node010"], "node[001-002,010]"),
        (["node9", "node10"], "node[9-10]"),
        (["node09", "node9"], "node09,node9"),
        (["node09", "node10"], "node[09-10]"),
        (["a1", "b1", "a2"], "a[1-2],b1"),
        (["login", "login1"], "login,login1"),
        (["gpu-0.rack2.example", "gpu-1.rack2.example"], "gpu-[0-1].rack2.example"),
        (["gpu-0.rack1", "gpu-0.rack2"], "gpu-0.rack1,gpu-0.rack2"),
        (["10.77.0.9", "10.77.0.10", "10.77.0.11"], "10.77.0.[9-11]"),
        (["n1-ib", "n2-ib"], "n[1-2]-ib"),
    ],
)
def test_hosts_are_folded_by_their_number(hosts: list[str], text: str) -> None:
    assert fold_hosts(hosts) == text


HOSTS = st.lists(
    st.one_of(
        st.from_regex(r"[a-c]{0,2}[0-9]{1,3}", fullmatch=True),
        st.from_regex(r"[a-b][0-9]{1,2}(-ib)?\.rack[0-9]", fullmatch=True),
        st.from_regex(r"10\.0\.[0-9]\.[0-9]{1,2}", fullmatch=True),
        st.sampled_from(["login", "head-node", "a"]),
    )
)


@given(HOSTS)
def test_a_folded_text_names_exactly_its_hosts(hosts: list[str]) -> None:
    assert sorted(expand(fold_hosts(hosts))) == sorted(set(hosts))


@given(HOSTS)
def test_folding_does_not_depend_on_repetitions(hosts: list[str]) -> None:
    assert fold_hosts(hosts + hosts) == fold_hosts(hosts)
