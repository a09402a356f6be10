"""Working on many items at the same time."""

from __future__ import annotations

import threading

import pytest

from orchestrator.remote.at_once import at_once


def test_every_result_comes_with_its_index() -> None:
    assert sorted(at_once(str.upper, ["a", "b", "c"])) == [(0, "A"), (1, "B"), (2, "C")]


def test_no_items_are_no_results() -> None:
    assert list(at_once(str.upper, [])) == []


def test_all_items_are_worked_on_together() -> None:
    meeting = threading.Barrier(100, timeout=60)
    assert len(list(at_once(lambda _: meeting.wait(), range(100)))) == 100


def test_more_items_than_threads_are_all_done() -> None:
    assert sum(result for _, result in at_once(lambda number: number, range(2000))) == sum(range(2000))


def test_an_exception_is_raised_after_the_other_results() -> None:
    collected: list[float] = []
    results = (result for _, result in at_once(lambda number: 1 / number, [1, 0, 2]))
    with pytest.raises(ZeroDivisionError):
        collected.extend(results)
    assert sorted(collected) == [0.5, 1.0]
