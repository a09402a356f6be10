"""What was fetched before: found whole, for hosts that it fits, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.errors import TransferError
from orchestrator.index.cache import CachedFile, FileCache
from orchestrator.ports import PackageFile

QUESTION = "a" * 64


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache")


def keep(
    cache: FileCache, folder: Path, name: str = "dep-2.0-py3-none-any.whl", content: bytes = b"dep"
) -> PackageFile:
    path = folder / name
    path.write_bytes(content)
    return cache.keep(path)


def test_a_kept_file_has_its_own_name_and_digest(cache: FileCache, tmp_path: Path) -> None:
    file = keep(cache, tmp_path)
    assert file.filename == "dep-2.0-py3-none-any.whl"
    assert file.sha256 == hashlib.sha256(b"dep").hexdigest()
    assert file.path.read_bytes() == b"dep"
    assert [path.name for path in file.path.parent.iterdir()] == [file.filename]


def test_a_question_is_answered_as_before(cache: FileCache, tmp_path: Path) -> None:
    files = (keep(cache, tmp_path), keep(cache, tmp_path, "app-1.0-py3-none-any.whl", b"app"))
    cache.remember(QUESTION, files, installed={})
    assert FileCache(tmp_path / "cache").recall(QUESTION, installed={}) == files
    assert cache.recall("b" * 64, installed={}) is None


def test_nothing_to_fetch_is_an_answer_too(cache: FileCache) -> None:
    cache.remember(QUESTION, (), installed={"dep": "1.0"})
    assert cache.recall(QUESTION, installed={"dep": "1.0"}) == ()


@pytest.mark.parametrize(
    ("installed", "does_hold"),
    [
        ({"used": "1.0"}, True),
        ({"used": "1.0", "numpy": "2.0"}, True),
        ({"used": "1.1"}, False),
        ({}, False),
        ({"used": "1.0", "dep": "1.0"}, False),
    ],
)
def test_only_packages_that_mattered_matter(
    cache: FileCache, tmp_path: Path, installed: Mapping[str, str], *, does_hold: bool
) -> None:
    files = (keep(cache, tmp_path),)
    cache.remember(QUESTION, files, installed={"used": "1.0"})
    assert cache.recall(QUESTION, installed=installed) == (files if does_hold else None)


def test_hosts_that_differ_have_answers_of_their_own(cache: FileCache, tmp_path: Path) -> None:
    file = keep(cache, tmp_path)
    cache.remember(QUESTION, (file,), installed={"used": "1.0"})
    cache.remember(QUESTION, (), installed={"dep": "1.0", "used": "1.0"})
    assert cache.recall(QUESTION, installed={"used": "1.0"}) == (file,)
    assert cache.recall(QUESTION, installed={"used": "1.0", "dep": "1.0"}) == ()


def test_a_damaged_file_is_no_answer_until_it_is_kept_again(cache: FileCache, tmp_path: Path) -> None:
    file = keep(cache, tmp_path)
    cache.remember(QUESTION, (file,), installed={})
    file.path.write_bytes(b"rot")
    assert cache.recall(QUESTION, installed={}) is None
    assert cache.find(CachedFile(sha256=file.sha256, filename=file.filename)) is None
    assert keep(cache, tmp_path) == file
    assert cache.recall(QUESTION, installed={}) == (file,)


def test_a_damaged_answer_is_no_answer(cache: FileCache, tmp_path: Path) -> None:
    cache.remember(QUESTION, (keep(cache, tmp_path),), installed={})
    (answer,) = tmp_path.glob("cache/answers-v1/*/*.json")
    answer.write_text('{"files": 1')
    assert cache.recall(QUESTION, installed={}) is None


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TransferError, match="could not be written: Not a directory"):
        keep(FileCache(tmp_path / "file" / "cache"), tmp_path)
