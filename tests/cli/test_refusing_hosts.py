"""The commands on hosts, from the words to what is said, where the only host refuses every connection."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from orchestrator.cli.main import main

Capture = pytest.CaptureFixture[str]

COMMANDS = {
    "probe": ["probe"],
    "plan": ["plan", "-r", "cpu-training"],
    "plan --exit-code": ["plan", "-r", "cpu-training", "--exit-code"],
    "build": ["build", "-r", "cpu-training"],
    "push": ["push", "-r", "cpu-training"],
    "verify": ["verify"],
    "provision": ["provision", "-r", "cpu-training"],
}


@pytest.fixture
def reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that lead to the host."""
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]  # bound, and not listened on once it is closed
    (tmp_path / "hostfile").write_text("worker-0 slots=1\n")
    (tmp_path / "ssh_config").write_text(f"Host worker-0\n  HostName 127.0.0.1\n  Port {port}\n")
    return ["-H", str(tmp_path / "hostfile"), "--ssh-config", str(tmp_path / "ssh_config")]


def run(words: list[str]) -> object:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_with_one_document_and_exit_code_3(
    command: str, reach: list[str], capsys: Capture
) -> None:
    assert run([*COMMANDS[command], *reach, "--json", "--quiet"]) == 3
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["schema"] != "dsdeploy.error/1"
    assert "worker-0" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_people_which_host_and_what_to_do(command: str, reach: list[str], capsys: Capture) -> None:
    assert run([*COMMANDS[command], *reach]) == 3
    said = capsys.readouterr()
    assert "worker-0" in said.out + said.err
    assert "hint:" in said.out + said.err


def test_a_document_of_a_provision_holds_the_processs_own_exit_code(reach: list[str], capsys: Capture) -> None:
    run(["provision", "-r", "cpu-training", *reach, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 3
    assert [failure["host"] for failure in document["failures"]] == ["worker-0"]


def test_a_document_of_a_build_holds_its_failures_too(reach: list[str], capsys: Capture) -> None:
    run(["build", "-r", "cpu-training", *reach, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["exit_code"], document["wheels"]) == ("dsdeploy.build/1", 3, [])
    assert [failure["host"] for failure in document["failures"]] == ["worker-0"]


def test_a_plan_is_written_beside_being_printed(reach: list[str], capsys: Capture, tmp_path: Path) -> None:
    run(["plan", "-r", "cpu-training", *reach, "--json", "--out", str(tmp_path / "plan.json")])
    assert json.loads((tmp_path / "plan.json").read_text()) == json.loads(capsys.readouterr().out)


def test_debug_tells_more_than_quiet(reach: list[str], capsys: Capture) -> None:
    told = {}
    for word in ("--debug", "--quiet"):
        run(["verify", *reach, word])
        told[word] = len(capsys.readouterr().err.splitlines())
    assert told["--debug"] > told["--quiet"]


def test_a_wheel_that_is_none_is_refused_before_any_host_is_asked(
    reach: list[str], capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "deepspeed-1-py3-none-any.whl").write_bytes(b"nothing")
    assert run(["push", *reach, "--wheel", str(tmp_path / "deepspeed-1-py3-none-any.whl"), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["schema"] == "dsdeploy.error/1"
