"""A wheel explained, from its file to the answer; and where its only host refuses every connection."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from fakes.wheels import make_manifest, make_wheel

from orchestrator.cli.explaining_wheels import explain_wheel, explain_wheel_on_hosts
from orchestrator.cli.options import Output, Targets
from orchestrator.errors import ExitCode, StoreError


def test_a_wheel_alone_asks_nobody(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/__init__.py": b""}, manifest=make_manifest())
    answer = explain_wheel(wheel)
    document = answer.document()
    assert answer.exit_code is ExitCode.DONE
    assert (document["kind"], document["wheel"]["filename"], document["hosts"]) == ("wheel", wheel.name, {})
    assert document["wheel"]["size_bytes"] == wheel.stat().st_size


def test_what_is_no_wheel_is_told(tmp_path: Path) -> None:
    (tmp_path / "deepspeed-1-py3-none-any.whl").write_text("text")
    with pytest.raises(StoreError, match="not a whole wheel"):
        explain_wheel(tmp_path / "deepspeed-1-py3-none-any.whl")


def test_a_host_that_cannot_be_asked_is_a_failure_and_the_wheel_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]  # bound, and not listened on once it is closed
    (tmp_path / "hostfile").write_text("worker-0 slots=1\n")
    (tmp_path / "ssh_config").write_text(f"Host worker-0\n  HostName 127.0.0.1\n  Port {port}\n")
    targets = Targets(hostfile=tmp_path / "hostfile", ssh_config=tmp_path / "ssh_config")
    answer = explain_wheel_on_hosts(make_wheel(tmp_path), targets, Output(quiet=True))
    assert answer.exit_code is ExitCode.HOST
    assert [failure.host for failure in answer.failures] == ["worker-0"]
    assert answer.document()["hosts"] == {}
