"""`dsdeploy history`, from the words to what is said; nobody is contacted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.records import FIRST, SECOND, make_record

from orchestrator.cli.main import main
from orchestrator.cli.user_journal import open_journal
from orchestrator.model.codec import from_document
from orchestrator.model.deployment import HostEnd
from orchestrator.model.history import DeploymentRecord

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this user a journal of their own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def two() -> tuple[DeploymentRecord, ...]:
    """What the journal knows: one deployment that went well, then one whose controller died."""
    records = (make_record(SECOND), make_record(FIRST, ends=(HostEnd.NEW,) * 3))
    for record in reversed(records):
        open_journal().begin(record)
    return records


def run(*words: object) -> object:
    with pytest.raises(SystemExit) as stop:
        main(["history", *map(str, words)])
    return stop.value.code


def document_of(capsys: Capture, *words: object, code: int = 0) -> Any:
    assert run(*words, "--json") == code
    return json.loads(capsys.readouterr().out)


def test_deployments_are_listed_newest_first(two: tuple[DeploymentRecord, ...], capsys: Capture) -> None:
    document = document_of(capsys)
    assert document["schema"] == "dsdeploy.history/1"
    assert tuple(from_document(DeploymentRecord, each) for each in document["deployments"]) == two
    assert [each["is_over"] for each in document["deployments"]] == [False, True]
    assert document["has_older"] is False


def test_a_number_limits_the_list_and_is_told(two: tuple[DeploymentRecord, ...], capsys: Capture) -> None:
    document = document_of(capsys, "-n", 1)
    assert [each["id"] for each in document["deployments"]] == [SECOND]
    assert document["has_older"] is True
    assert run("-n", 1) == 0
    assert "-n N shows more" in capsys.readouterr().out
    assert run("-n", 0) == 2


def test_people_see_who_what_where_and_how_it_ended(two: tuple[DeploymentRecord, ...], capsys: Capture) -> None:
    assert run() == 0
    said = capsys.readouterr().out
    good = next(line for line in said.splitlines() if FIRST in line)
    assert good.split() == [
        "2026-01-01",
        "12:00",
        FIRST,
        "ml@ctl",
        "install",
        "cpu-training",
        "worker-[0-2]",
        "committed",
    ]
    assert f"not ended: {SECOND}" in said
    assert "hint: dsdeploy recover" in said


def test_one_deployment_is_shown_by_the_beginning_of_its_id(two: tuple[DeploymentRecord, ...], capsys: Capture) -> None:
    assert [each["id"] for each in document_of(capsys, "20260101")["deployments"]] == [FIRST]
    assert run(FIRST) == 0
    assert "abababababab" in capsys.readouterr().out


def test_an_unknown_id_is_a_usage_error_that_names_the_nearest(
    two: tuple[DeploymentRecord, ...], capsys: Capture
) -> None:
    error = document_of(capsys, FIRST[:-1] + "x", code=2)["error"]
    assert FIRST in error["message"]
    assert error["hint"] == "dsdeploy history lists them"


def test_a_beginning_of_several_ids_names_them(two: tuple[DeploymentRecord, ...], capsys: Capture) -> None:
    message = document_of(capsys, "2026", code=2)["error"]["message"]
    assert FIRST in message
    assert SECOND in message


def test_an_empty_history_says_how_deployments_get_there(capsys: Capture) -> None:
    assert document_of(capsys)["deployments"] == []
    assert run() == 0
    assert "dsdeploy provision" in capsys.readouterr().out


def test_a_damaged_journal_is_told_where_it_was_set_aside(
    two: tuple[DeploymentRecord, ...], tmp_path: Path, capsys: Capture
) -> None:
    journal = tmp_path / "data" / "dsdeploy" / "journal.db"
    journal.write_bytes(b"rotten" * 1000)
    assert run("--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["deployments"] == []
    assert str(journal.with_name("journal.damaged-1.db")) in said.err
