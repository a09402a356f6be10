from __future__ import annotations

from pathlib import Path

import pytest
from whole_tool import Answer, Controller

pytestmark = pytest.mark.process


def error_of(answer: Answer) -> tuple[int, str]:
    """Return exit code and kind of a refusal, both the process's own and the document's."""
    document = answer.document
    assert document["schema"] == "dsdeploy.error/1"
    error = document["error"]
    assert error["exit_code"] == answer.exit_code
    assert f"error: {error['message']}" in answer.stderr
    assert f"hint: {error['hint']}" in answer.stderr
    return answer.exit_code, error["kind"]


@pytest.mark.parametrize("command", ["hosts", "probe", "plan", "build", "push", "verify", "provision"])
def test_a_missing_hostfile_is_told_with_a_hint_and_is_never_a_local_run(
    command: str, controller: Controller, tmp_path: Path
) -> None:
    answer = controller.run(command, "-H", tmp_path / "none", "--json")
    assert error_of(answer) == (2, "usage")
    assert str(tmp_path / "none") in answer.stderr


def test_hosts_cannot_be_included_and_excluded_in_one_command(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text("worker-0 slots=2\nworker-1 slots=2\n")
    answer = controller.run("plan", "-H", tmp_path / "hostfile", "-i", "worker-0", "-e", "worker-1", "--json")
    assert error_of(answer) == (2, "usage")


def test_all_faults_of_a_hostfile_are_told_at_once_with_their_lines(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text("worker-0 slots=2 pyton=/x\nworker-1 slots=two\n\nworker-0 slots=2\n")
    answer = controller.run("hosts", "-H", tmp_path / "hostfile", "--json")
    lines = answer.document["error"]["message"].splitlines()
    assert [line.removeprefix(f"{tmp_path}/hostfile:")[0] for line in lines] == ["1", "2", "4"]
    assert answer.exit_code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["provision", "--jbos", "2"], (2, "usage")),
        (["recipe", "show", "cpu-trainin"], (2, "usage")),
        (["store", "show", "abcdef0"], (6, "transfer")),
    ],
)
def test_a_refused_command_says_so_on_stdout_too_when_json_is_asked_for(
    words: list[str], expected: tuple[int, str], controller: Controller
) -> None:
    assert error_of(controller.run(*words, "--json")) == expected


def test_hosts_are_printed_without_any_of_them_being_contacted(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text("worker-[0-1] slots=4  # nowhere\nother slots=2 user=ml port=2222 python=/p\n")
    answer = controller.run("hosts", "-H", tmp_path / "hostfile", "-i", "worker-1:0,2@other", "--json")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.document == {
        "schema": "dsdeploy.hosts/1",
        "hosts": [
            {"name": "worker-1", "slots": [0, 2], "user": None, "port": None, "python": None},
            {"name": "other", "slots": [0, 1], "user": "ml", "port": 2222, "python": "/p"},
        ],
    }
