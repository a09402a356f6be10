"""One torch with CUDA, one agent and one package cache for all tests here: fetched once, kept for the next run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cuda_parts import CudaWorld, find_python, make_world

from orchestrator.remote.local import open_local


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CudaWorld]:
    """Everything that a CUDA build acts through, on this machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dsdeploy-tests"
    python = find_python(cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        session = open_local()
    yield make_world(session, python, cache, tmp_path_factory.mktemp("cuda"))
    session.close()
