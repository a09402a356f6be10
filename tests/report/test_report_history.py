from __future__ import annotations

import re

import pytest
from fakes.records import FIRST, SECOND, make_record
from report_samples import drawn

from orchestrator.model.deployment import HostEnd
from orchestrator.model.history import DeploymentKind
from orchestrator.report.documents import history_document
from orchestrator.report.tables.history import deployment_details, history_table

NEW, OLD, LEFT, UNKNOWN = HostEnd.NEW, HostEnd.OLD, HostEnd.LEFT, HostEnd.UNKNOWN


def cells(text: str) -> list[list[str]]:
    """The cells of every line: what is parted by two spaces or more."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((NEW, NEW, NEW), "committed"),
        ((OLD, OLD, OLD), "as before"),
        ((NEW, OLD, NEW), "2 committed, 1 as before"),
        ((NEW, LEFT, UNKNOWN), "1 committed, 1 left uncommitted, 1 not known"),
        ((NEW, None, None), "1 committed, 2 not ended"),
        ((None, None, None), "not ended"),
    ],
)
def test_the_end_of_a_deployment_is_summed_up(ends: tuple[HostEnd | None, ...], told: str) -> None:
    assert cells(drawn(history_table([make_record(ends=ends)]), width=160))[1][-1] == told


def test_a_row_tells_when_who_what_and_where() -> None:
    rollback = make_record(SECOND, ends=(NEW, NEW), kind=DeploymentKind.ROLLBACK, recipe=None)
    rows = cells(drawn(history_table([rollback, make_record(ends=(NEW,))]), width=160))
    assert rows[0] == ["STARTED (UTC)", "DEPLOYMENT", "BY", "KIND", "RECIPE", "HOSTS", "END"]
    assert rows[1] == ["2026-01-02 12:00", SECOND, "ml@ctl", "rollback", "worker-[0-1]", "committed"]
    assert rows[2] == ["2026-01-01 12:00", FIRST, "ml@ctl", "install", "cpu-training", "worker-0", "committed"]


def test_what_is_over_needs_no_hint() -> None:
    assert "recover" not in drawn(history_table([make_record(ends=(NEW, OLD))]))


@pytest.mark.parametrize("ends", [(NEW, None), (NEW, UNKNOWN), (None,)])
def test_what_is_not_over_names_the_command_that_ends_it(ends: tuple[HostEnd | None, ...]) -> None:
    for drawing in (history_table([make_record(ends=ends)]), deployment_details(make_record(ends=ends))):
        text = drawn(drawing, width=160)
        assert f"! not ended: {FIRST}\n  hint: dsdeploy recover" in text


def test_hosts_that_read_alike_share_a_row() -> None:
    rows = cells(drawn(deployment_details(make_record(ends=(NEW, OLD, NEW))), width=160))
    assert ["HOSTS", "END", "DEEPSPEED", "BEFORE", "WHEEL"] in rows
    assert ["worker-[0,2]", "committed", "0.19.8+cpu", "0.19.7", "abababababab"] in rows
    assert ["worker-1", "as before", "0.19.8+cpu", "0.19.7", "abababababab"] in rows


def test_details_tell_when_it_began_and_ended_and_what_was_decided() -> None:
    rows = cells(drawn(deployment_details(make_record(ends=(NEW,)))))
    assert ["started", "2026-01-01 12:00 UTC"] in rows
    assert ["ended", "2026-01-03 12:01 UTC"] in rows
    assert ["decided", "open"] in rows


def test_what_only_hosts_remember_is_said_to_be_partial() -> None:
    assert "known from its hosts only" in drawn(deployment_details(make_record(ends=(NEW,), is_from_stamps=True)))


@pytest.mark.parametrize("width", [80, 100])
def test_a_history_hides_nothing_on_a_narrow_page(width: int) -> None:
    text = drawn(history_table([make_record()]), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert FIRST in text.split()


def test_the_document_says_of_each_deployment_whether_it_is_over() -> None:
    document = history_document([make_record(SECOND), make_record(ends=(NEW, NEW))], has_older=True)
    assert (document["schema"], document["has_older"]) == ("dsdeploy.history/1", True)
    assert [(each["id"], each["is_over"]) for each in document["deployments"]] == [(SECOND, False), (FIRST, True)]
    assert document["deployments"][1]["hosts"][0]["end"] == "new"
