"""Packing a tree: equal trees give equal bytes, and only sources count."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from orchestrator.index.archive import archive_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "csrc").mkdir(parents=True)
    (folder / "csrc" / "op.cpp").write_text("int op;")
    (folder / "setup.py").write_text("")
    (folder / "link").symlink_to("csrc")
    (folder / "install.sh").write_text("#!/bin/sh\n")
    (folder / "install.sh").chmod(0o700)
    return folder


def packed(tree: Path, target: Path) -> bytes:
    archive_tree(tree, target)
    return target.read_bytes()


def test_times_owners_and_other_modes_do_not_count(tree: Path, tmp_path: Path) -> None:
    before = packed(tree, tmp_path / "a.tar")
    os.utime(tree / "setup.py", (1_000_000_000, 1_000_000_000))
    (tree / "setup.py").chmod(0o600)
    assert packed(tree, tmp_path / "b.tar") == before


@pytest.mark.parametrize(
    "built",
    [
        ".git/HEAD",
        "build/temp/op.o",
        "dist/deepspeed.whl",
        "deepspeed.egg-info/PKG-INFO",
        "csrc/__pycache__/op.pyc",
        "csrc/op.so",
        "deepspeed/git_version_info_installed.py",
    ],
)
def test_build_products_do_not_count(tree: Path, tmp_path: Path, built: str) -> None:
    before = packed(tree, tmp_path / "a.tar")
    (tree / built).parent.mkdir(parents=True, exist_ok=True)
    (tree / built).write_text("built")
    assert packed(tree, tmp_path / "b.tar") == before


@pytest.mark.parametrize("name", ["csrc/build/op.cpp", "setup.py", "new.py", ".github/x.yml"])
def test_every_source_counts(tree: Path, tmp_path: Path, name: str) -> None:
    before = packed(tree, tmp_path / "a.tar")
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text("changed")
    assert packed(tree, tmp_path / "b.tar") != before


def test_it_unpacks_under_one_folder_with_links_and_programs(tree: Path, tmp_path: Path) -> None:
    archive_tree(tree, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == [f"deepspeed/{name}" for name in ("install.sh", "link", "setup.py", "csrc/op.cpp")]
        tar.extractall(tmp_path / "out", filter="data")
    out = tmp_path / "out" / "deepspeed"
    assert (out / "link" / "op.cpp").read_text() == "int op;"
    assert (out / "install.sh").stat().st_mode & 0o777 == 0o755
    assert (out / "setup.py").stat().st_mode & 0o777 == 0o644


def test_two_names_of_one_file_are_two_files(tree: Path, tmp_path: Path) -> None:
    os.link(tree / "csrc" / "op.cpp", tree / "csrc" / "twin.cpp")
    archive_tree(tree, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        twin = tar.extractfile("deepspeed/csrc/twin.cpp")
        assert twin is not None
        assert twin.read() == b"int op;"
