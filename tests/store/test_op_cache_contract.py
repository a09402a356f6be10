"""What every cache of compiled ops promises: run against the folder and against the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.op_cache import MemoryOpCache

from orchestrator.model.wheels import OpKey
from orchestrator.ports import OpCache
from orchestrator.store.op_libraries import FolderOpCache

CACHES: dict[str, Callable[[Path], OpCache]] = {"folder": FolderOpCache, "memory": MemoryOpCache}
KEY = OpKey("a" * 64)
OTHER = OpKey("b" * 64)


@pytest.fixture(params=CACHES)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> OpCache:
    return CACHES[request.param](tmp_path / "cache" / "ops-v1")


def make_library(folder: Path, content: bytes = b"compiled") -> Path:
    library = folder / "fused_adam_op.cpython-312-x86_64-linux-gnu.so"
    library.write_bytes(content)
    return library


def test_an_empty_cache_finds_nothing(cache: OpCache) -> None:
    assert cache.find(KEY) is None


def test_a_library_is_found_by_its_key_with_its_name_and_bytes(cache: OpCache, tmp_path: Path) -> None:
    library = make_library(tmp_path)
    cache.add(KEY, library)
    found = cache.find(KEY)
    assert found is not None
    assert (found.name, found.read_bytes()) == (library.name, b"compiled")
    assert cache.find(OTHER) is None


def test_a_library_stays_when_the_file_that_was_given_goes(cache: OpCache, tmp_path: Path) -> None:
    library = make_library(tmp_path)
    cache.add(KEY, library)
    library.unlink()
    found = cache.find(KEY)
    assert found is not None
    assert found.read_bytes() == b"compiled"


def test_the_first_library_of_a_key_stays(cache: OpCache, tmp_path: Path) -> None:
    cache.add(KEY, make_library(tmp_path, b"first"))
    cache.add(KEY, make_library(tmp_path, b"second"))
    found = cache.find(KEY)
    assert found is not None
    assert found.read_bytes() == b"first"


def test_libraries_of_one_name_lie_apart_by_key(cache: OpCache, tmp_path: Path) -> None:
    cache.add(KEY, make_library(tmp_path, b"sm_80"))
    cache.add(OTHER, make_library(tmp_path, b"sm_90"))
    found = cache.find(KEY), cache.find(OTHER)
    assert [path.read_bytes() for path in found if path] == [b"sm_80", b"sm_90"]
