"""What a host tells of itself without its controller: the program that commit leaves, on hosts laid out by hand."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from agent_client import working_python
from stamped_hosts import GPUS, VERSION, StampedHost

from orchestrator.agent import local_status
from orchestrator.agent.cache import Cache
from orchestrator.agent.local_status import edited_files, find_reasons, parse_age, parse_driver, prefix_of
from orchestrator.agent.status_script import leave_status_script
from orchestrator.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StampedHost:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DSDEPLOY_NVIDIA", str(tmp_path / "nvidia"))
    return StampedHost(tmp_path)


def reasons(*words: str, capsys: Capture, code: int = 10) -> list[str]:
    """What it finds wrong, less the prefix that stands before each."""
    assert local_status.main([*words, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "dsdeploy.local-status/1"
    found: list[str] = document["reasons"]
    return [reason.rpartition("/venv: ")[2] for reason in found]


def test_a_committed_and_untouched_host_is_good(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    assert local_status.main([]) == 0
    assert capsys.readouterr().out == (
        f"{host.prefix}: DeepSpeed {VERSION} of deployment 20260102T030405Z-abc, committed 2026-01-02T03:04:05+00:00\n"
    )


def test_the_command_line_answers_alike(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    with pytest.raises(SystemExit) as stop:
        main(["status", "--local", "--max-age", "1s"])
    assert stop.value.code == 10
    assert "1 s are allowed" in capsys.readouterr().out


def test_quiet_says_it_by_the_exit_code_alone(host: StampedHost, capsys: Capture) -> None:
    assert local_status.main(["-q"]) == 10
    host.commit()
    assert local_status.main(["--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_host_without_any_deployment_is_not_good(host: StampedHost, capsys: Capture) -> None:
    assert reasons(capsys=capsys) == ["this host: nothing is committed there"]


def test_edited_removed_and_many_files_are_named(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    host.write("deepspeed/ops/good_op.py", "print('patched')\n")
    (host.site / "deepspeed/env_report.py").unlink()
    assert reasons(capsys=capsys) == ["files edited: deepspeed/env_report.py, deepspeed/ops/good_op.py"]
    for name in ("broken", "crash", "hang"):
        host.write(f"deepspeed/ops/{name}_op.py", "")
    (found,) = reasons(capsys=capsys)
    assert found.endswith("deepspeed/ops/broken_op.py and 2 more")


def test_what_python_compiled_is_nobodys_to_compare(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    host.write("deepspeed/__pycache__/__init__.cpython-311.pyc", "anything")
    assert reasons(capsys=capsys, code=0) == []


def test_large_files_are_read_as_well(host: StampedHost) -> None:
    host.write("deepspeed/large.so", "a" * (1 << 20))
    host.record.write_text(f"deepspeed/large.so,sha256=nonsense,{1 << 20}\ndeepspeed/__init__.py,sha256=nonsense,0\n")
    assert edited_files(str(host.record)) == ["deepspeed/large.so", "deepspeed/__init__.py"]


def test_a_deepspeed_of_somebody_else_is_told(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    host.record.parent.rename(host.site / "deepspeed-0.15.0.dist-info")
    (host.site / "deepspeed-0.15.0.dist-info" / "RECORD").write_text("")
    assert reasons(capsys=capsys) == [f"DeepSpeed {VERSION} was replaced; there is deepspeed-0.15.0"]


def test_an_uninstalled_deepspeed_is_told(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    host.record.unlink()
    host.record.parent.rmdir()
    assert reasons(capsys=capsys) == [f"DeepSpeed {VERSION} was replaced; there is none"]


@pytest.mark.parametrize(
    ("text", "now"), [("__version__: str = '2.12.1+cpu'\n", "2.12.1+cpu"), ("", "missing"), (None, "missing")]
)
def test_torch_changed_under_it(host: StampedHost, capsys: Capture, text: str | None, now: str) -> None:
    host.commit()
    (host.site / "torch/version.py").unlink()
    if text is not None:
        host.write("torch/version.py", text)
    assert reasons(capsys=capsys) == [f"torch was 2.13.0+cpu and is {now}"]


def test_a_pending_deployment_is_the_only_thing_told(host: StampedHost, capsys: Capture) -> None:
    pending = {"deployment": "20260303T000000Z-x", "author": "u@ctl", "state": "activating"}
    host.commit(pending=pending)
    (host.site / "torch/version.py").unlink()
    assert reasons(capsys=capsys) == ["deployment 20260303T000000Z-x of u@ctl has not ended here: activating"]


def test_gpus_and_driver_are_compared_when_the_stamp_names_gpus(host: StampedHost, capsys: Capture) -> None:
    host.stamp |= {"gpus": GPUS, "driver": "550.54.15"}
    host.commit()
    gone = ["the driver was 550.54.15 and is not loaded", f"there were 2 GPUs ({GPUS[0]}) and there are 0"]
    assert reasons(capsys=capsys) == gone
    host.has_gpus()
    assert reasons(capsys=capsys, code=0) == []


def test_another_driver_and_fewer_gpus_are_two_reasons(host: StampedHost) -> None:
    host.stamp |= {"gpus": GPUS, "driver": "550.54.15"}
    ledger = {"stamp": host.stamp, "pending": None}
    assert list(find_reasons(ledger, str(host.has_gpus("580.65.06", count=1)))) == [
        "the driver was 550.54.15 and is 580.65.06",
        f"there were 2 GPUs ({GPUS[0]}) and there are 1",
    ]


@pytest.mark.parametrize("name", ["AMD Instinct MI300X", "Instinct MI210", "MI300X-O", "gfx90a"])
def test_nothing_is_said_of_amds_gpus(host: StampedHost, name: str) -> None:
    host.stamp |= {"gpus": [name], "driver": "6.8.5"}
    assert list(find_reasons({"stamp": host.stamp, "pending": None}, "/nowhere")) == []


def test_a_stamp_of_an_older_dsdeploy_still_counts(host: StampedHost, capsys: Capture) -> None:
    for name in ("gpus", "driver", "torch_file", "replaced"):
        del host.stamp[name]
    old = {"hostname": os.uname().nodename, "stamp": host.stamp}
    host.commit()
    (ledger,) = (host.cache / "deployments").iterdir()
    ledger.write_text(json.dumps(old))
    assert reasons(capsys=capsys, code=0) == []


def test_ages_are_read_with_their_unit() -> None:
    assert [parse_age(text) for text in ("90s", "30m", "24h", "7d")] == [90, 1800, 86400, 604800]


@pytest.mark.parametrize("text", ["", "30", "h", "-1h", "1.5h", "1 d", "7D"])
def test_other_ages_are_usage_errors(host: StampedHost, capsys: Capture, text: str) -> None:
    host.commit()
    assert local_status.main(["--max-age", text]) == 2
    assert "30m, 24h, 7d" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ"])
def test_an_old_commit_is_too_old_for_a_young_age(host: StampedHost, capsys: Capture, form: str) -> None:
    host.stamp["committed_at"] = (datetime.now(timezone.utc) - timedelta(hours=2)).strftime(form)
    host.commit()
    assert reasons("--max-age", "3h", capsys=capsys, code=0) == []
    (found,) = reasons("--max-age", "1h", capsys=capsys)
    assert found.startswith(f"committed {host.stamp['committed_at']}: ")


@pytest.mark.parametrize("words", [["--nonsense"], ["worker-0"], ["--max-age"]])
def test_words_that_it_does_not_know_are_usage_errors(host: StampedHost, words: list[str]) -> None:
    assert local_status.main(words) == 2


def test_help_names_every_option(host: StampedHost, capsys: Capture) -> None:
    assert local_status.main(["--local", "--help"]) == 0
    said = capsys.readouterr().out
    assert {"--max-age", "--python", "--json", "--quiet"} <= {word.strip(",[]") for word in said.split()}


def test_a_damaged_ledger_is_a_reason(host: StampedHost, capsys: Capture) -> None:
    host.commit()
    (ledger,) = (host.cache / "deployments").iterdir()
    ledger.write_text('{"stamp": {')
    (found,) = reasons(capsys=capsys)
    assert found.startswith(f"{ledger} is damaged")


def test_a_ledger_of_a_host_that_shares_the_home_is_not_ours(host: StampedHost, capsys: Capture) -> None:
    host.commit(hostname="another")
    assert reasons(capsys=capsys) == ["this host: nothing is committed there"]


def test_python_chooses_one_of_several_interpreters(host: StampedHost, tmp_path: Path, capsys: Capture) -> None:
    host.commit()
    other = StampedHost(tmp_path / "other")
    other.cache = host.cache
    other.commit()
    (other.site / "torch/version.py").unlink()
    assert reasons(capsys=capsys) == ["torch was 2.13.0+cpu and is missing"]
    assert reasons("--python", f"{host.prefix}/bin/python", capsys=capsys, code=0) == []
    assert reasons("--python", f"{other.prefix}/bin/python", capsys=capsys) == ["torch was 2.13.0+cpu and is missing"]
    absent = f"{tmp_path}/absent/bin/python"
    assert reasons("--python", absent, capsys=capsys) == [f"{absent}: nothing is committed there"]


def test_an_environment_that_was_removed_counts_only_when_it_is_asked_for(
    host: StampedHost, tmp_path: Path, capsys: Capture
) -> None:
    host.commit()
    gone = StampedHost(tmp_path / "gone")
    gone.cache = host.cache
    gone.commit()
    gone.prefix.rename(tmp_path / "moved")
    assert reasons(capsys=capsys, code=0) == []
    found = reasons("--python", f"{gone.prefix}/bin/python", capsys=capsys)
    assert found == [f"DeepSpeed {VERSION} was replaced; there is none", "torch was 2.13.0+cpu and is missing"]


def test_the_prefix_of_an_interpreter_is_read_from_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, environment, other = (tmp_path / name for name in ("real", "venv", "usr"))
    for folder in (real, environment, other):
        (folder / "bin").mkdir(parents=True)
    (real / "bin" / "python3").touch()
    (environment / "pyvenv.cfg").touch()
    for folder in (environment, other):
        (folder / "bin" / "python").symlink_to(real / "bin" / "python3")
    assert prefix_of(f"{environment}/bin/python") == str(environment)
    assert prefix_of(f"{other}/bin/python") == str(real)
    monkeypatch.setenv("PATH", f"/nowhere:{real}/bin")
    assert prefix_of("python3") == str(real)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60  Wed Nov 30 06:39:21 UTC 2022\nGCC 12.2.0\n",
            "525.60",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build  (dvs-builder@U16)\n",
            "560.35.03",
        ),
        ("GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n", None),
        ("", None),
    ],
)
def test_the_driver_is_read_in_both_layouts(text: str, version: str | None) -> None:
    assert parse_driver(text) == version


def left_script(host: StampedHost) -> Path:
    host.commit()
    leave_status_script(Cache(str(host.cache)))
    return host.cache / "status"


def test_the_program_that_is_left_is_private_and_replaced_when_it_changes(host: StampedHost) -> None:
    path = left_script(host)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    first = path.stat().st_ino
    leave_status_script(Cache(str(host.cache)))
    assert path.stat().st_ino == first
    path.write_text("older")
    leave_status_script(Cache(str(host.cache)))
    assert path.read_text().startswith(f"#!{sys.executable} -IS\n")
    assert {entry.name for entry in host.cache.iterdir()} == {"deployments", "status"}


def test_a_temporary_cache_gets_no_program(host: StampedHost) -> None:
    host.cache.mkdir()
    leave_status_script(Cache(str(host.cache), note="it is not used"))
    assert list(host.cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_to_is_no_error(host: StampedHost) -> None:
    leave_status_script(Cache(str(host.cache / "absent")))
    assert not host.cache.exists()


@pytest.mark.process
def test_the_program_finds_its_ledgers_with_an_empty_environment(host: StampedHost) -> None:
    def run() -> Any:
        return subprocess.run([str(left_script(host))], env={}, capture_output=True, text=True, check=False)

    assert (run().returncode, run().stderr) == (0, "")
    (host.site / "torch/version.py").unlink()
    ended = run()
    assert (ended.returncode, ended.stdout) == (10, f"{host.prefix}: torch was 2.13.0+cpu and is missing\n")


@pytest.mark.process
@pytest.mark.parametrize("version", ["3.8", "3.10", "3.13"])
def test_the_program_runs_on_any_python_that_an_agent_runs_on(host: StampedHost, version: str) -> None:
    python = working_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    words = [python, "-IS", str(left_script(host)), "--max-age", "100000d", "--json"]
    document = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert [each["version"] for each in document["interpreters"]] == [VERSION]
