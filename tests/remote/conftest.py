"""A private sshd per test session: real keys, a real port on 127.0.0.1, ended by its process id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_sshd import MakeDialer, Sshd, StartSshd, start_sshd

from orchestrator.remote.dial import Dialer, DialSettings


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartSshd]:
    """Starts servers of the test's own, each with more lines for its sshd_config."""
    running: list[Sshd] = []

    def start_one(*options: str) -> Sshd:
        folder = tmp_path / f"sshd{len(running)}"
        folder.mkdir()
        running.append(start_sshd(folder, options))
        return running[-1]

    yield start_one
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One healthy server for all tests that do it no harm."""
    server = start_sshd(tmp_path_factory.mktemp("sshd"), ())
    yield server
    server.stop()


@pytest.fixture
def dialer(tmp_path: Path) -> Iterator[MakeDialer]:
    """Makes dialers from the text of an SSH configuration."""
    made: list[Dialer] = []

    def make(ssh_config: str, *, accept_new_host_keys: bool = False, timeout_s: float = 10.0) -> Dialer:
        file = tmp_path / f"ssh_config{len(made)}"
        file.write_text(ssh_config)
        settings = DialSettings(ssh_config=file, accept_new_host_keys=accept_new_host_keys, timeout_s=timeout_s)
        made.append(Dialer(settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
