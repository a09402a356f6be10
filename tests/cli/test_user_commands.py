"""Commands that contact nobody, from the words to what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.wheels import make_manifest, make_wheel

from orchestrator.cli.main import main
from orchestrator.cli.user_store import open_store

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this user nothing but what the package brings along."""
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    monkeypatch.setenv("DSDEPLOY_HOSTFILE", str(tmp_path / "hostfile"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)


def run(*words: object) -> object:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return stop.value.code


def document_of(capsys: Capture, *words: object, code: int = 0) -> Any:
    assert run(*words, "--json") == code
    return json.loads(capsys.readouterr().out)


def add_wheel(tmp_path: Path) -> str:
    path = make_wheel(tmp_path, manifest=make_manifest())
    return open_store().add(path, make_manifest()).sha256


def test_the_default_hostfile_is_the_variables(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "hostfile").write_text("worker-0 slots=2\nworker-1 slots=2\n")
    document = document_of(capsys, "hosts", "-e", "worker-0")
    assert [host["name"] for host in document["hosts"]] == ["worker-1"]
    assert run("hosts") == 0
    assert "worker-[0-1]" in capsys.readouterr().out


def test_a_hostfile_that_is_not_there_is_a_usage_error(capsys: Capture) -> None:
    assert run("hosts") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "hint:" in said.err


def test_recipes_are_listed_shown_and_checked(tmp_path: Path, capsys: Capture) -> None:
    names = {recipe["name"] for recipe in document_of(capsys, "recipe", "list")["recipes"]}
    assert {"cpu-training", "training", "inference", "zero-infinity"} <= names
    assert document_of(capsys, "recipe", "show", "cpu-training")["recipe"]["name"] == "cpu-training"
    assert run("recipe", "check", "cpu-training") == 0
    assert capsys.readouterr() == ("", "")
    (tmp_path / "mine.yaml").write_text("deepspeed: [\n")
    assert run("recipe", "check", "mine.yaml") == 2
    assert "mine.yaml" in capsys.readouterr().err


def test_recipes_are_drawn_for_people(capsys: Capture) -> None:
    assert run("recipe", "list") == 0
    assert "cpu-training" in capsys.readouterr().out
    assert run("recipe", "show", "cpu-training") == 0
    assert "cpu-training" in capsys.readouterr().out


def test_the_store_is_listed_shown_verified_and_emptied(tmp_path: Path, capsys: Capture) -> None:
    assert document_of(capsys, "store", "list")["wheels"] == []
    digest = add_wheel(tmp_path)
    assert [wheel["sha256"] for wheel in document_of(capsys, "store", "list")["wheels"]] == [digest]
    assert document_of(capsys, "store", "show", digest[:8])["wheels"][0]["sha256"] == digest
    assert document_of(capsys, "store", "verify")["findings"] == []
    for words in (["list"], ["show", digest], ["verify"]):
        assert run("store", *words) == 0
        assert capsys.readouterr().out
    assert run("store", "remove", digest[:8]) == 0
    assert capsys.readouterr() == ("", "")
    assert document_of(capsys, "store", "list")["wheels"] == []


def test_a_wheel_that_the_store_lacks_cannot_be_shown(capsys: Capture) -> None:
    assert document_of(capsys, "store", "show", "abcdef", code=6)["error"]["hint"] == "dsdeploy store list"


def test_a_damaged_wheel_is_found_and_is_exit_code_6(tmp_path: Path, capsys: Capture) -> None:
    digest = add_wheel(tmp_path)
    (file,) = (tmp_path / "data").rglob("*.whl")
    file.write_bytes(b"rotten")
    (finding,) = document_of(capsys, "store", "verify", code=6)["findings"]
    assert digest in finding["path"]


def test_what_a_killed_process_left_is_removed_and_is_no_damage(tmp_path: Path, capsys: Capture) -> None:
    add_wheel(tmp_path)
    leftover = next((tmp_path / "data").rglob("wheels-v1")) / ".part-left"
    leftover.mkdir()
    assert run("store", "verify", "--json") == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["findings"]) == 1
    assert str(leftover) in said.err
    assert not leftover.exists()
