from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from orchestrator.cli.main import main

Capture = pytest.CaptureFixture[str]

LOGS = Path(__file__).parents[1] / "captures" / "logs"
KNOWN = LOGS / "torch-cuda-check-mismatch" / "recorded.txt"


def exit_code_of(*words: str) -> object:
    with pytest.raises(SystemExit) as stop:
        main(("explain", *words))
    return stop.value.code


def test_a_log_is_explained_to_programs(capsys: Capture) -> None:
    assert exit_code_of(str(KNOWN), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"schema", "kind", "verdict", "causes", "first_error"}
    assert (document["schema"], document["kind"], document["verdict"]) == ("dsdeploy.explain/1", "log", "failure")
    [cause] = document["causes"]
    assert set(cause) == {"id", "confidence", "cause", "fix", "link", "values", "lines"}
    assert cause["id"] == "torch-cuda-check-mismatch"
    assert cause["values"].keys() == {"nvcc", "torch"}
    assert all(cause["values"][name] in cause["cause"] for name in ("nvcc", "torch"))
    assert [set(line) for line in cause["lines"]] == [{"number", "text"}]
    assert document["first_error"] == []


def test_an_unknown_log_shows_its_first_error(tmp_path: Path, capsys: Capture) -> None:
    log = tmp_path / "log"
    log.write_text("one\nTraceback (most recent call last):\n  File x\nValueError: never seen\n\ntwo\n")
    assert exit_code_of(str(log), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["causes"]) == ("unknown", [])
    assert [line["number"] for line in document["first_error"]] == [2, 3, 4]
    assert exit_code_of(str(log)) == 0
    assert "ValueError: never seen" in capsys.readouterr().out


def test_people_see_the_cause_its_lines_and_the_fix(capsys: Capture) -> None:
    assert exit_code_of(str(KNOWN)) == 0
    said = capsys.readouterr().out
    assert "torch-cuda-check-mismatch" in said
    assert "line 5" in said
    assert "fix" in said


def test_a_log_without_a_failure_says_so(tmp_path: Path, capsys: Capture) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")
    assert exit_code_of(str(log), "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "no-failure"


def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path, capsys: Capture) -> None:
    assert exit_code_of(str(tmp_path / "absent")) == 2
    assert exit_code_of(str(tmp_path)) == 2
    assert "Is a directory" in capsys.readouterr().err


def test_a_file_that_is_called_a_wheel_is_one_or_is_damaged(tmp_path: Path, capsys: Capture) -> None:
    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x.py", "")
    assert exit_code_of(str(wheel)) == 6
    wheel.write_bytes(wheel.read_bytes()[:20])
    assert exit_code_of(str(wheel)) == 6
    assert capsys.readouterr().err.count("not a whole wheel") == 2


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(KNOWN.read_bytes())))
    assert exit_code_of("-", "--json") == 0
    assert json.loads(capsys.readouterr().out)["causes"][0]["id"] == "torch-cuda-check-mismatch"


@pytest.mark.process
def test_a_pipe_is_read() -> None:
    command = [
        sys.executable,
        "-c",
        "from orchestrator.cli.main import main; main()",
        "explain",
        "/dev/stdin",
        "--json",
    ]
    done = subprocess.run(command, input=KNOWN.read_bytes(), stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout)["causes"][0]["id"] == "torch-cuda-check-mismatch"
