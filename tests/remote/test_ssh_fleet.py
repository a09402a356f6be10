"""The fleet over real connections: one per host, all hosts at once, failures as values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import StartSshd
from remote_sshd import free_port

from orchestrator.errors import ExitCode, HostError, InstallError
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcome
from orchestrator.ports import Fleet, Remote
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet

NAMES = ("worker-0", "worker-1", "worker-2")
OpenFleet = Callable[..., SshFleet]


@pytest.fixture
def open_fleet(start: StartSshd, tmp_path: Path) -> Iterator[OpenFleet]:
    """Opens a fleet of three hosts on one server, and one host that refuses."""
    server = start()
    config = tmp_path / "ssh_config"
    blocks = [server.config(name) for name in NAMES]
    config.write_text("".join([*blocks, server.config("refusing", Port=free_port())]))
    hosts = [Host(name=name) for name in (*NAMES, "refusing")]
    fleet = SshFleet(hosts, settings=DialSettings(ssh_config=config))
    with closing(fleet):
        yield lambda: (fleet, server)


@pytest.fixture
def fleet(open_fleet: OpenFleet) -> Fleet:
    opened: Fleet = open_fleet()[0]
    return opened
