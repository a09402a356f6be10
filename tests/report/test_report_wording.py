from __future__ import annotations

import pytest

from orchestrator.report import wording


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (10_700_000, "10.7 MB"), (999_950_000, "1 GB"), (2e15, "2 PB")],
)
def test_sizes_are_decimal(size_bytes: float, text: str) -> None:
    assert wording.size(size_bytes) == text


@pytest.mark.parametrize(("size_bytes", "text"), [(24 * 1024**3, "24 GiB"), (int(1.5 * 1024**4), "1.5 TiB")])
def test_memory_is_binary(size_bytes: int, text: str) -> None:
    assert wording.memory(size_bytes) == text


@pytest.mark.parametrize(
    ("elapsed_s", "text"),
    [
        (-0.1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (252, "4 min 12 s"),
        (3780, "1 h 3 min"),
    ],
)
def test_times_are_as_precise_as_people_care(elapsed_s: float, text: str) -> None:
    assert wording.duration(elapsed_s) == text


@pytest.mark.parametrize(
    ("elapsed_s", "text"),
    [(0, "10 s"), (31, "40 s"), (54, "60 s"), (58, "1 min"), (372, "6 min"), (3599, "1 h"), (4300, "1 h 10 min")],
)
def test_an_estimate_is_no_more_precise_than_it_deserves(elapsed_s: float, text: str) -> None:
    assert wording.rough_duration(elapsed_s) == text


def test_one_has_no_plural() -> None:
    assert [wording.count(number, "host") for number in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]


def test_a_range_of_sizes_that_read_alike_is_one_size() -> None:
    assert wording.size_range([40_010_000_000, 40_020_000_000]) == "40 GB"
    assert wording.size_range([1_200_000_000_000, 40_000_000_000]) == "40 GB to 1.2 TB"


def test_long_lists_are_cut_and_counted() -> None:
    assert wording.shortened(["a", "b", "c"], 3) == "a, b, c"
    assert wording.shortened(["a"], 3) == "a, +2 more"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("\x1b[01;31merror:\x1b[0m no", "error: no"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b[2J\x1b[Hgone?", "gone?"),
        ("a\rb\x08\x07", "ab"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("\x9b31mred", "31mred"),
        ("ends with \x1b", "ends with "),
    ],
)
def test_remote_text_cannot_drive_the_terminal(raw: str, text: str) -> None:
    assert wording.clean(raw) == text
