"""What the cache of compiled ops does when files are damaged, left behind, or too many."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from orchestrator.model.wheels import OpKey
from orchestrator.store.op_libraries import FolderOpCache

DAY_S = 86400
NAME = "random_ltd_op.so"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "ops-v1"


def add(cache: FolderOpCache, source: Path, key: str, content: bytes = b"compiled") -> Path:
    library = source / NAME
    library.write_bytes(content)
    cache.add(OpKey(key), library)
    found = cache.find(OpKey(key))
    assert found is not None
    return found


def age(library: Path, days: float) -> None:
    then = time.time() - days * DAY_S
    os.utime(library.with_name("sha256"), (then, then))


def kept_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_the_record_is_one_that_sha256sum_can_check(folder: Path, tmp_path: Path) -> None:
    library = add(FolderOpCache(folder), tmp_path, "key")
    assert library == folder / "key" / NAME
    digest = hashlib.sha256(b"compiled").hexdigest()
    assert library.with_name("sha256").read_text() == f"{digest}  {NAME}\n"


def test_nobody_else_may_look_in(folder: Path, tmp_path: Path) -> None:
    library = add(FolderOpCache(folder), tmp_path, "key")
    assert [path.stat().st_mode & 0o777 for path in (folder, library.parent)] == [0o700, 0o700]


def test_a_damaged_library_is_not_found_and_goes(folder: Path, tmp_path: Path) -> None:
    cache = FolderOpCache(folder)
    add(cache, tmp_path, "key").write_bytes(b"damaged!")
    assert cache.find(OpKey("key")) is None
    assert kept_in(folder) == []


@pytest.mark.parametrize("record", ["", "0000  random_ltd_op.so\n", "no digest", "\0  \0\n"])
def test_an_entry_whose_record_says_something_else_goes(folder: Path, tmp_path: Path, record: str) -> None:
    cache = FolderOpCache(folder)
    add(cache, tmp_path, "key").with_name("sha256").write_text(record)
    assert cache.find(OpKey("key")) is None
    assert kept_in(folder) == []


def test_a_damaged_library_is_replaced_by_the_next_build(folder: Path, tmp_path: Path) -> None:
    cache = FolderOpCache(folder)
    add(cache, tmp_path, "key").unlink()
    assert add(cache, tmp_path, "key", b"again").read_bytes() == b"again"


def test_what_was_used_longest_ago_goes_first_and_only_as_much_as_must(folder: Path, tmp_path: Path) -> None:
    size_bytes = 1000
    for days, key in ((4, "oldest"), (3, "older"), (2, "old")):
        age(add(FolderOpCache(folder), tmp_path, key, bytes(size_bytes)), days)
    age(folder / "oldest" / NAME, 0.5)
    record_bytes = (folder / "old" / "sha256").stat().st_size
    add(FolderOpCache(folder, limit_bytes=2 * (size_bytes + record_bytes)), tmp_path, "new", b"")
    assert kept_in(folder) == ["new", "old", "oldest"]


def test_what_was_used_within_a_day_stays_however_full_it_is(folder: Path, tmp_path: Path) -> None:
    age(add(FolderOpCache(folder), tmp_path, "today"), 0.9)
    age(add(FolderOpCache(folder), tmp_path, "before"), 1.1)
    add(FolderOpCache(folder, limit_bytes=0), tmp_path, "new")
    assert kept_in(folder) == ["new", "today"]


def test_finding_a_library_is_using_it(folder: Path, tmp_path: Path) -> None:
    cache = FolderOpCache(folder)
    age(add(cache, tmp_path, "key"), 30)
    assert cache.find(OpKey("key")) is not None
    add(FolderOpCache(folder, limit_bytes=0), tmp_path, "new")
    assert kept_in(folder) == ["key", "new"]


def test_a_library_that_cannot_be_kept_is_told_and_stops_no_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    notes: list[str] = []
    cache = FolderOpCache(tmp_path / "file", on_note=notes.append)
    cache.add(OpKey("key"), tmp_path / NAME)
    (note,) = notes
    assert note.startswith(f"{NAME} is not kept")
    assert cache.find(OpKey("key")) is None


@pytest.mark.process
def test_an_add_that_is_killed_leaves_nothing_to_be_found_and_is_cleaned_up(folder: Path, tmp_path: Path) -> None:
    library = tmp_path / NAME
    library.write_bytes(bytes(100_000))
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        FolderOpCache(folder).add(OpKey("key"), library)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGXFSZ
    assert len(kept_in(folder)) == 1
    cache = FolderOpCache(folder)
    assert cache.find(OpKey("key")) is None
    add(cache, tmp_path, "other")
    assert kept_in(folder) == ["other"]
