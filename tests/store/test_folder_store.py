"""What the folder store does beyond the contract: privacy, damage, readable errors, waiting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.wheels import make_manifest, make_wheel

from orchestrator.errors import StoreError
from orchestrator.model.wheels import Artifact, BuildKey, OpRecord
from orchestrator.store.entries import RECORD_NAME
from orchestrator.store.folder import FolderStore

HOLDER = """
import sys
from pathlib import Path
from orchestrator.store.folder import FolderStore
with FolderStore(Path(sys.argv[1])).lock("key-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def artifact(store: FolderStore, tmp_path: Path) -> Artifact:
    manifest = make_manifest()
    return store.add(make_wheel(tmp_path, files={"deepspeed/op.so": b"op" * 5000}, manifest=manifest), manifest)


def folder_of(store: FolderStore, artifact: Artifact) -> Path:
    return store.path_of(artifact).parent


def test_its_folders_are_private(store: FolderStore, artifact: Artifact, tmp_path: Path) -> None:
    folders = [path for path in tmp_path.joinpath("store").rglob("*") if path.is_dir()]
    assert len(folders) == 4
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_a_wheel_is_copied_not_linked(store: FolderStore, artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / artifact.filename).write_bytes(b"")
    assert store.path_of(artifact).stat().st_size == artifact.size_bytes


def test_another_process_sees_the_same_wheels(store: FolderStore, artifact: Artifact, tmp_path: Path) -> None:
    assert FolderStore(tmp_path / "store").all() == (artifact,)


def test_compile_times_are_kept_though_the_wheel_has_none(store: FolderStore, tmp_path: Path) -> None:
    inside = make_manifest()
    wheel = make_wheel(tmp_path, manifest=inside)
    timed = replace(inside, ops=(replace(inside.ops[0], compile_s=12.5),))
    artifact = store.add(wheel, timed)
    assert store.get(artifact.sha256) == artifact
    assert artifact.manifest.ops[0].compile_s == 12.5
    assert store.verify() == ()


def test_a_wheel_whose_inside_says_otherwise_is_refused(store: FolderStore, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=make_manifest())
    lie = make_manifest(ops=(OpRecord(name="fused_adam", is_built=True),))
    with pytest.raises(StoreError, match="the manifest inside is not the one"):
        store.add(wheel, lie)
    assert store.all() == ()


@pytest.mark.parametrize("key", ["../up", "", ".part-x", "a/b"])
def test_a_key_that_is_no_folder_name_is_refused(store: FolderStore, tmp_path: Path, key: str) -> None:
    manifest = make_manifest(build_key=BuildKey(key))
    with pytest.raises(StoreError, match="no build key"):
        store.add(make_wheel(tmp_path, manifest=manifest), manifest)


def test_a_digest_prefix_of_two_wheels_is_told(store: FolderStore, artifact: Artifact) -> None:
    folder = folder_of(store, artifact)
    twin = folder.with_name(artifact.sha256[:60] + ("0000" if artifact.sha256[60:] != "0000" else "1111"))
    twin.mkdir()
    with pytest.raises(StoreError, match="names 2 wheels"):
        store.get(artifact.sha256[:10])


def test_removing_a_wheel_leaves_nothing(store: FolderStore, artifact: Artifact, tmp_path: Path) -> None:
    assert store.size_bytes > artifact.size_bytes
    store.remove(artifact.sha256[:8])
    assert store.all() == ()
    assert store.size_bytes == 0
    assert list((tmp_path / "store" / "wheels-v1").iterdir()) == []


def test_removing_a_wheel_that_is_not_there_is_an_error(store: FolderStore) -> None:
    with pytest.raises(StoreError, match="has no wheel abcdef"):
        store.remove("abcdef")


def test_a_whole_store_has_no_findings(store: FolderStore, artifact: Artifact) -> None:
    assert store.verify() == ()


def test_verify_finds_a_changed_byte(store: FolderStore, artifact: Artifact) -> None:
    path = store.path_of(artifact)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    (finding,) = store.verify()
    assert finding.path == path.parent
    assert finding.hint is not None
    assert artifact.sha256[:12] in finding.hint


def test_verify_finds_a_lost_file(store: FolderStore, artifact: Artifact) -> None:
    store.path_of(artifact).unlink()
    (finding,) = store.verify()
    assert "No such file" in finding.problem


def test_verify_finds_a_record_that_differs_from_the_inside(store: FolderStore, artifact: Artifact) -> None:
    record = folder_of(store, artifact) / RECORD_NAME
    document = json.loads(record.read_text())
    document["manifest"]["recipe"] = "another"
    record.write_text(json.dumps(document))
    (finding,) = store.verify()
    assert finding.problem.endswith("differs from the manifest inside the wheel")


@pytest.mark.parametrize("text", ["", "{}", "[]", "\x00"])
def test_a_damaged_record_names_the_file_and_the_way_out(store: FolderStore, artifact: Artifact, text: str) -> None:
    record = folder_of(store, artifact) / RECORD_NAME
    record.write_text(text)
    with pytest.raises(StoreError) as raised:
        store.all()
    assert str(record) in raised.value.message
    assert f"dsdeploy store remove {artifact.sha256[:12]}" in str(raised.value.hint)
    store.remove(artifact.sha256)
    assert store.all() == ()


def test_a_wheel_without_its_record_can_be_removed(store: FolderStore, artifact: Artifact) -> None:
    (folder_of(store, artifact) / RECORD_NAME).unlink()
    with pytest.raises(StoreError):
        store.find(artifact.manifest.build_key)
    store.remove(artifact.sha256)
    assert store.find(artifact.manifest.build_key) is None


def test_adding_what_lies_damaged_in_the_store_is_told(store: FolderStore, artifact: Artifact, tmp_path: Path) -> None:
    store.path_of(artifact).write_bytes(b"rot")
    with pytest.raises(StoreError, match="is damaged"):
        store.add(tmp_path / artifact.filename, artifact.manifest)


def test_a_store_under_a_file_is_told_as_an_error_of_the_store(tmp_path: Path, artifact: Artifact) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FolderStore(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match="could not be changed"):
        store.add(tmp_path / artifact.filename, artifact.manifest)
    with pytest.raises(StoreError, match="could not be changed"):
        store.lock(BuildKey("key-1"))


def test_many_threads_may_add_the_same_wheel(store: FolderStore, tmp_path: Path) -> None:
    manifest = make_manifest()
    wheel = make_wheel(tmp_path, manifest=manifest)
    threads = [threading.Thread(target=store.add, args=(wheel, manifest)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.all()) == 1
    assert store.verify() == ()


def test_who_waits_is_told_by_whom_and_a_killed_owner_frees_its_lock(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        told: list[str] = []

        def kill_the_owner(line: str) -> None:
            told.append(line)
            owner.kill()

        with FolderStore(tmp_path, on_wait=kill_the_owner).lock(BuildKey("key-1")):
            pass
    assert len(told) == 1
    assert told[0].startswith(f"process {owner.pid} on {os.uname().nodename} since 2")


def test_a_free_lock_does_not_wait(tmp_path: Path) -> None:
    told: list[str] = []
    store = FolderStore(tmp_path, on_wait=told.append)
    for _ in range(2):
        with store.lock(BuildKey("key-1")):
            pass
    assert told == []
