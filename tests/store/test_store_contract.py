"""What every store promises: run against the folder and against the one in memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.store import MemoryStore
from fakes.wheels import make_manifest, make_wheel

from orchestrator.errors import StoreError
from orchestrator.model.wheels import Artifact, BuildKey
from orchestrator.ports import Store
from orchestrator.store.folder import FolderStore

STORES: dict[str, Callable[[Path], Store]] = {"folder": FolderStore, "memory": MemoryStore}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path / "store")


def add_wheel(store: Store, folder: Path, *, key: str = "key-1", content: bytes = b"op") -> Artifact:
    manifest = make_manifest(build_key=BuildKey(key))
    wheel = make_wheel(folder, files={"deepspeed/op.so": content}, manifest=manifest)
    return store.add(wheel, manifest)


def test_an_empty_store_finds_nothing(store: Store) -> None:
    assert store.find(BuildKey("key-1")) is None
    assert store.get("abcdef") is None
    assert store.all() == ()


def test_a_wheel_is_found_by_its_key_and_its_digest(store: Store, tmp_path: Path) -> None:
    artifact = add_wheel(store, tmp_path)
    assert store.find(BuildKey("key-1")) == artifact
    assert store.get(artifact.sha256) == artifact
    assert store.get(artifact.sha256[:6]) == artifact
    assert store.find(BuildKey("key-2")) is None


def test_the_artifact_tells_the_bytes(store: Store, tmp_path: Path) -> None:
    artifact = add_wheel(store, tmp_path)
    content = store.path_of(artifact).read_bytes()
    assert hashlib.sha256(content).hexdigest() == artifact.sha256
    assert len(content) == artifact.size_bytes
    assert store.path_of(artifact).name == artifact.filename


def test_a_second_add_of_equal_bytes_changes_nothing(store: Store, tmp_path: Path) -> None:
    first = add_wheel(store, tmp_path)
    assert store.add(store.path_of(first), first.manifest) == first
    assert store.all() == (first,)


def test_a_wheel_stays_when_the_file_that_was_given_goes(store: Store, tmp_path: Path) -> None:
    artifact = add_wheel(store, tmp_path)
    (tmp_path / artifact.filename).unlink()
    assert store.path_of(artifact).stat().st_size == artifact.size_bytes


def test_the_newest_wheel_of_a_key_wins(store: Store, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = add_wheel(store, tmp_path / "old", content=b"old")
    new = add_wheel(store, tmp_path / "new", content=b"new")
    assert old.sha256 != new.sha256
    assert store.find(BuildKey("key-1")) == new
    assert store.all() == (new, old)


def test_a_short_digest_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        store.get("abc")


def test_a_wheel_that_is_not_there_has_no_path(store: Store, tmp_path: Path) -> None:
    artifact = add_wheel(MemoryStore(tmp_path / "other"), tmp_path)
    with pytest.raises(StoreError):
        store.path_of(artifact)


def test_a_damaged_wheel_has_no_path(store: Store, tmp_path: Path) -> None:
    artifact = add_wheel(store, tmp_path)
    with store.path_of(artifact).open("ab") as file:
        file.write(b"!")
    with pytest.raises(StoreError):
        store.path_of(artifact)


def test_a_lock_lets_one_in_at_a_time(store: Store) -> None:
    key = BuildKey("key-1")
    order: list[str] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with store.lock(key):
            order.append("second")

    with store.lock(key):
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_locks_of_two_keys_do_not_meet(store: Store) -> None:
    with store.lock(BuildKey("key-1")), store.lock(BuildKey("key-2")):
        pass
