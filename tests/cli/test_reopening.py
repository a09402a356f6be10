"""What is left to do on hosts is done over connections of its own."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.cli.options import Output, Targets
from orchestrator.cli.wiring import Run
from orchestrator.errors import HostError
from orchestrator.ports import Fleet


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Targets:
    """Two hosts that refuse connections."""
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]  # bound, and not listened on once it is closed
    (tmp_path / "hostfile").write_text("worker-0 slots=1\nworker-1 slots=1\n")
    (tmp_path / "ssh_config").write_text(f"Host worker-*\n  HostName 127.0.0.1\n  Port {port}\n")
    return Targets(hostfile=tmp_path / "hostfile", ssh_config=tmp_path / "ssh_config")


def refusal_of(fleet: Fleet, host: str) -> str:
    with pytest.raises(HostError) as error:
        fleet.remote(host)
    return error.value.message


def test_a_reopened_fleet_connects_anew_and_the_one_before_is_closed_for_good(targets: Targets) -> None:
    with ExitStack() as stack:
        run = Run(targets, Output(quiet=True), stack)
        assert "refuses connections" in refusal_of(run.fleet, "worker-0")
        with run.reopen_fleet() as fresh:
            assert "refuses connections" in refusal_of(fresh, "worker-0")
            assert "the run is over" in refusal_of(run.fleet, "worker-1")
            with run.reopen_fleet() as fresher:
                assert "refuses connections" in refusal_of(fresher, "worker-1")
        assert "the run is over" in refusal_of(fresh, "worker-1")
