"""Agents, ended with their test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from relay_peers import CONTENTS, Cargo, RelayAgent

from orchestrator.fanout.certificates import RunAuthority


@pytest.fixture
def cargo() -> Cargo:
    return Cargo(CONTENTS)


@pytest.fixture
def authority() -> RunAuthority:
    return RunAuthority()


@pytest.fixture
def open_agent(tmp_path: Path) -> Iterator[Callable[..., RelayAgent]]:
    """Starts an agent whose cache is in the folder of this name; two with one name share it."""
    with contextlib.ExitStack() as stack:

        def open_one(home: str, **options: Any) -> RelayAgent:
            agent = RelayAgent(tmp_path / home, **options)
            stack.callback(agent.hang_up)
            return agent

        yield open_one
