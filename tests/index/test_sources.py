"""DeepSpeed's source from an sdist, a git repository and a folder; none of its code runs."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from orchestrator.errors import TransferError
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.recipe import Source, SourceKind

pytestmark = pytest.mark.process

SETUP_PY = "raise SystemExit('setup.py was run')\n"
PKG_INFO = "Metadata-Version: 2.1\nName: deepspeed\nVersion: 0.99.1\n"
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_INDEX": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def write_tree(folder: Path) -> Path:
    (folder / "deepspeed").mkdir(parents=True)
    (folder / "setup.py").write_text(SETUP_PY)
    (folder / "PKG-INFO").write_text(PKG_INFO)
    (folder / "deepspeed" / "__init__.py").write_text("")
    return folder


def names_in(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def make_sdist(folder: Path) -> Path:
    tree = write_tree(folder / "tree")
    with tarfile.open(folder / "deepspeed-0.99.1.tar.gz", "w:gz") as tar:
        tar.add(tree, "deepspeed-0.99.1")
    return folder / "deepspeed-0.99.1.tar.gz"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRON, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def version(text: str) -> Source:
    return Source(kind=SourceKind.VERSION, value=text)


def folder_source(path: Path) -> Source:
    return Source(kind=SourceKind.FOLDER, value=str(path))


def git_source(url: object, revision: str | None = None) -> Source:
    return Source(kind=SourceKind.GIT, value=str(url), revision=revision)


@pytest.fixture
def index(tmp_path: Path) -> PipIndex:
    return PipIndex(tmp_path / "cache", environ={**ENVIRON, "PIP_FIND_LINKS": str(tmp_path)})


@pytest.fixture
def offline(tmp_path: Path) -> PipIndex:
    return PipIndex(tmp_path / "cache", environ={"PATH": "/nonexistent"})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tree = write_tree(tmp_path / "repository")
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "-m", "one")
    git(tree, "tag", "-a", "v1", "-m", "tag")
    git(tree, "tag", "light")
    (tree / "setup.py").write_text("# two\n")
    git(tree, "commit", "--quiet", "-am", "two")
    git(tree, "branch", "feature/x")
    return tree


def test_an_sdist_is_fetched_once_as_it_is_without_running_it(
    index: PipIndex, offline: PipIndex, tmp_path: Path
) -> None:
    sdist = make_sdist(tmp_path)
    found = index.source(version("0.99.1"))
    assert found.filename == "deepspeed-0.99.1.tar.gz"
    assert found.path.read_bytes() == sdist.read_bytes()
    assert offline.source(version("0.99.1")) == found


def test_a_version_that_there_is_not_is_told(index: PipIndex) -> None:
    with pytest.raises(TransferError, match=r"no source distribution of deepspeed==0\.1") as raised:
        index.source(version("0.1"))
    assert "pip index versions deepspeed" in str(raised.value.hint)


def test_the_real_sdist_comes_from_the_configured_index(tmp_path: Path) -> None:
    index = PipIndex(tmp_path, environ=os.environ)
    found = index.source(version("0.19.8"))
    assert found.sha256 == "9e491abd0827ea5c389dd702e15e11e13d83d904bac4a20d6c2a4cb37207a9af"


@pytest.mark.parametrize("revision", ["v1", "light", "HEAD", None, "feature/x", "main"])
def test_a_name_is_resolved_to_its_full_commit(index: PipIndex, repository: Path, revision: str | None) -> None:
    commit = git(repository, "rev-parse", f"{revision or 'HEAD'}^{{commit}}")
    assert index.resolve(git_source(repository, revision)) == git_source(repository, commit)


def test_a_name_that_there_is_not_is_told(index: PipIndex, repository: Path) -> None:
    short = git(repository, "rev-parse", "--short", "HEAD")
    for revision in ("v9", "main~1", short):
        with pytest.raises(TransferError, match=f"no branch or tag '{revision}'"):
            index.resolve(git_source(repository, revision))


def test_a_commit_is_packed_whole_and_alone(index: PipIndex, repository: Path) -> None:
    source = index.resolve(git_source(repository, "v1"))
    found = index.source(source)
    assert found.filename == f"deepspeed-{str(source.revision)[:12]}.tar"
    assert sorted(names_in(found.path)) == [
        "deepspeed/PKG-INFO",
        "deepspeed/deepspeed/__init__.py",
        "deepspeed/setup.py",
    ]
    with tarfile.open(found.path) as tar:
        setup = tar.extractfile("deepspeed/setup.py")
        assert setup is not None
        assert setup.read() == SETUP_PY.encode()


def test_a_commit_is_fetched_once(index: PipIndex, offline: PipIndex, repository: Path) -> None:
    source = index.resolve(git_source(repository, "main"))
    assert index.source(source) == offline.source(source)


def test_the_same_commit_packs_to_the_same_bytes(index: PipIndex, repository: Path, tmp_path: Path) -> None:
    source = index.resolve(git_source(repository, "main"))
    again = PipIndex(tmp_path / "another", environ={**ENVIRON, "GIT_DIR": "/nonexistent"})
    assert again.source(source).sha256 == index.source(source).sha256


def test_a_repository_that_cannot_be_read_is_told_without_its_password(index: PipIndex) -> None:
    with pytest.raises(TransferError) as raised:
        index.resolve(git_source("http://me:secret@127.0.0.1:9/x.git", "main"))
    assert "http://127.0.0.1:9/x.git cannot be read" in raised.value.message
    assert "secret" not in raised.value.message + str(raised.value.hint)


def test_a_missing_git_is_told(offline: PipIndex) -> None:
    with pytest.raises(TransferError, match="git is not installed here"):
        offline.resolve(git_source("https://127.0.0.1:9/x.git", "main"))


def test_a_folder_is_pinned_by_its_tree(index: PipIndex, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    first = index.resolve(folder_source(tree))
    assert index.source(first).sha256 == first.revision
    (tree / "setup.py").write_text("# changed\n")
    second = index.resolve(folder_source(tree))
    assert second.revision != first.revision
    assert index.source(second).sha256 == second.revision


def test_the_folder_that_was_planned_is_built_though_it_changed_since(index: PipIndex, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    planned = index.resolve(folder_source(tree))
    (tree / "setup.py").write_text("# changed\n")
    assert index.source(planned).sha256 == planned.revision
    elsewhere = PipIndex(tmp_path / "another", environ=ENVIRON)
    with pytest.raises(TransferError, match="has changed since it was planned"):
        elsewhere.source(planned)


def test_a_folder_without_setup_py_is_told(index: PipIndex, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="no DeepSpeed source tree"):
        index.resolve(folder_source(tmp_path / "nothing"))
