"""Hostfiles: DeepSpeed's grammar, and what we read beyond it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from upstream_rules import RefusedError, hosts_upstream

from orchestrator.config.hostfile import load_hostfile, parse_hostfile
from orchestrator.errors import ConfigError, ExitCode, UsageError
from orchestrator.model.hosts import Host

HOSTFILES = Path(__file__).parents[2] / "hostfiles"


def parsed(text: str) -> tuple[Host, ...]:
    return parse_hostfile(text, source="hostfile")


def faults_of(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [(fault.line, fault.message) for fault in caught.value.faults]


# Parts that fuzzing alone would not put together soon; none of them is a word of ours.
NAMES = st.sampled_from(["worker-0", "worker-1", "a", "::1", "u@h", "10.0.0.1", "ä", "#x", "x#y", ""])
SPACES = st.sampled_from([" ", "  ", "\t", "\u3000", "\x0b", "\x1c", "\u2028", ""])
SLOTS = st.sampled_from(["slots=2", "slots=0", "slots=12", "slots=04", "slots=4x", "slots=٣", "slots=", "Slots=2", ""])
REST = st.sampled_from(["", "", "# note", "#", " # x y", " extra", " b slots", "\x1cb"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\x0b", "\x85", ""])
TEXTS = st.one_of(
    st.lists(st.tuples(SPACES, NAMES, SPACES, SLOTS, REST, ENDS).map("".join), max_size=4).map("".join),
    st.lists(st.tuples(NAMES, SPACES, st.just("slots=2"), REST, ENDS).map("".join), max_size=3).map("".join),
    st.text(alphabet="ab01 \t\n\r#slot=:@.,_", max_size=40),
)


@given(TEXTS)
@example("a slots=2 # user=x\nb slots=4#port=1\n")
@example("a slots=2\n a slots=3")
@example("#a slots=2\n")
@example("a slots=2 b slots=3")
def test_deepspeed_and_we_accept_and_refuse_the_same_texts(text: str) -> None:
    try:
        expected = hosts_upstream(text)
    except RefusedError:
        with pytest.raises(ConfigError):
            parsed(text)
        return
    if text.count("=") > len(expected):
        return  # perhaps a word of ours
    assert {host.name: host.slots for host in parsed(text)} == {
        name: tuple(range(count)) for name, count in expected.items()
    }


def test_our_words_after_the_slots_are_read() -> None:
    (host,) = parsed("worker-0 slots=2 python=/opt/v/bin/python user=ml port=2222")
    assert host == Host(name="worker-0", slots=(0, 1), user="ml", port=2222, python="/opt/v/bin/python")


def test_words_in_a_comment_are_not_read() -> None:
    assert parsed("a slots=1 # port=1 colour=red\nb slots=1#port=1 port=x") == (
        Host(name="a", slots=(0,)),
        Host(name="b", slots=(0,)),
    )


def test_a_hash_inside_a_value_is_part_of_it() -> None:
    assert parsed("a slots=1 python=/opt/a#b")[0].python == "/opt/a#b"


def test_bare_words_are_ignored_as_deepspeed_ignores_them() -> None:
    assert parsed("a slots=1 fast user=ml rack-2 user")[0] == Host(name="a", slots=(0,), user="ml")


def test_zeros_in_front_of_the_slots_mean_nothing() -> None:
    assert parsed(f"a slots={'0' * 5000}2")[0].slots == (0, 1)


def test_an_unknown_word_is_refused_with_the_known_ones_and_the_nearest() -> None:
    ((line, message),) = faults_of("a slots=1 pyton=/usr/bin/python3")
    assert line == 1
    assert all(known in message for known in ("python=", "user=", "port=", "did you mean python?"))


@pytest.mark.parametrize(
    "line",
    [
        "a slots=1 port=0",
        "a slots=1 port=65536",
        "a slots=1 port=٢",
        "a slots=1 port=",
        "a slots=1 port=22x",
        "a slots=1 user=",
        "a slots=1 user=-l",
        "a slots=1 user=a;b",
        "a slots=1 python=-c",
        "a slots=1 python='x'",
        "a slots=1 user=x user=y",
        "me@a slots=1 user=x",
        "a slots=4user=x",
        "a slots=4097",
        "a slots=" + "9" * 5000,
        "-oProxyCommand=x slots=1",
        "a;b slots=1",
        "$(x) slots=1",
        "../a slots=1",
        "a\x07b slots=1",
        "a\u202eb slots=1",
        "w-[0-3 slots=1",
        "w-[3-0] slots=1",
        "w-[] slots=1",
        "w-[a-b] slots=1",
        "w-[1,1] slots=1",
        "w-[1-010] slots=1",
        "w-[0-99999][0-99999] slots=1",
    ],
)
def test_what_cannot_be_meant_is_one_fault_on_its_line(line: str) -> None:
    assert [at for at, _ in faults_of(f"# comment\n{line}\n")] == [2]


def test_all_faults_are_told_at_once_in_order_of_lines() -> None:
    text = "a slots=1\nb\nc slots=1 x=1 port=0\n\na slots=2\nd slots=1\n"
    assert [line for line, _ in faults_of(text)] == [2, 3, 3, 5]


def test_a_host_named_twice_is_told_with_the_line_of_the_first() -> None:
    ((line, message),) = faults_of("n[0-9] slots=1\n\nn5 slots=1")
    assert (line, message) == (3, "n5: named before, on line 1")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_text_without_hosts_is_refused(text: str) -> None:
    assert [line for line, _ in faults_of(text)] == [None]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("w-[0-3]", ["w-0", "w-1", "w-2", "w-3"]),
        ("n[08-10]", ["n08", "n09", "n10"]),
        ("n[01-02,20]", ["n01", "n02", "n20"]),
        ("n[5]", ["n5"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
        ("r[1-2]n[0-1].x", ["r1n0.x", "r1n1.x", "r2n0.x", "r2n1.x"]),
    ],
)
def test_ranges_stand_for_hosts(pattern: str, names: list[str]) -> None:
    hosts = parsed(f"{pattern} slots=2 user=ml")
    assert [host.name for host in hosts] == names
    assert {(host.slots, host.user) for host in hosts} == {((0, 1), "ml")}


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 4))
def test_a_range_has_every_number_once_in_order(first: int, length: int, width: int) -> None:
    numbers = range(first, first + length + 1)
    low, high = f"{first:0{width}d}", f"{first + length:0{width}d}"
    assert [host.name for host in parsed(f"n[{low}-{high}] slots=1")] == [f"n{number:0{width}d}" for number in numbers]


def test_more_hosts_than_any_cluster_has_are_refused() -> None:
    text = "\n".join(f"h{index}-[0-29999] slots=1" for index in range(1000))
    assert [line for line, _ in faults_of(text)] == [3]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "hostfile"
    path.write_bytes(b"\xef\xbb\xbfworker-0 slots=1\r\n")
    assert load_hostfile(path) == (Host(name="worker-0", slots=(0,)),)


def test_a_missing_hostfile_is_a_usage_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_hostfile(tmp_path / "no-such-file")
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint is not None


@pytest.mark.parametrize("content", [b"\xff\xfe\x00w", b"\x7fELF\x00\x01", b"a slots=1\n" * 900_000])
def test_a_file_that_is_no_hostfile_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hostfile"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        load_hostfile(path)


def test_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_hostfile(tmp_path)


def test_a_path_through_a_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        load_hostfile(tmp_path / "file" / "hostfile")


@pytest.mark.parametrize(
    "path", sorted(path for path in HOSTFILES.iterdir() if not path.suffix), ids=lambda path: path.name
)
def test_the_example_hostfiles_can_be_read(path: Path) -> None:
    assert load_hostfile(path)
