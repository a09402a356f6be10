"""The configured package index, and the other places that DeepSpeed's source comes from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import TransferError
from orchestrator.index.archive import archive_tree
from orchestrator.index.cache import CachedFile, FileCache
from orchestrator.index.downloads import Pip
from orchestrator.index.git import Git
from orchestrator.index.stand_ins import normalised
from orchestrator.model.codec import digest_of
from orchestrator.model.recipe import Source, SourceKind
from orchestrator.ports import PackageFile, TargetTags

PROJECT = "deepspeed"


def _ignore(_line: str) -> None:
    pass


class PipIndex:
    """Implements the port PackageIndex with pip and git; `on_line` is told what they print.

    `environ` is the environment that they run in: the user's index, proxy and certificates come from there and from
    pip's and git's own configuration files.
    """

    def __init__(self, cache: Path, *, environ: Mapping[str, str], on_line: Callable[[str], None] = _ignore) -> None:
        self._cache = FileCache(cache)
        self._pip = Pip(environ, on_line)
        self._git = Git(environ, on_line)

    def wheels(
        self, requirements: Sequence[str], tags: TargetTags, *, constraints: Mapping[str, str]
    ) -> tuple[PackageFile, ...]:
        """Return wheels for the requirements and all that they need in turn, for those tags, sorted by name.

        What `constraints` (name → version) holds is taken as installed: never changed, never returned. torch is never
        fetched. A question asked before is answered without any network, as it was then. Raises TransferError.
        """
        if not requirements:
            return ()
        installed = normalised(constraints)
        question = digest_of("wheels", sorted(set(requirements)), tags)
        known = self._cache.recall(question, installed=installed)
        if known is not None:
            return known
        with tempfile.TemporaryDirectory(prefix="dsdeploy-") as scratch:
            download = self._pip.wheels(requirements, tags, installed=installed, scratch=Path(scratch))
            files = tuple(self._cache.keep(path) for path in download.files)
        self._cache.remember(question, files, installed=download.used)
        return files

    def resolve(self, source: Source) -> Source:
        """Return the source with a `revision` that pins its content: a full commit, or the digest of a folder's tree.

        Raises TransferError when the repository or folder cannot be read, or has no such revision.
        """
        match source.kind:
            case SourceKind.VERSION:
                return source
            case SourceKind.GIT:
                return replace(source, revision=self._git.commit_of(source.value, source.revision))
            case SourceKind.FOLDER:
                return replace(source, revision=self._pack(Path(source.value), "tree").sha256)

    def source(self, source: Source) -> PackageFile:
        """Return a resolved source as one archive with one top folder: an sdist, or an uncompressed tar.

        Raises TransferError when it cannot be fetched, or a folder is no longer what `resolve` saw.
        """
        match source.kind:
            case SourceKind.VERSION:
                return self._sdist(source.value)
            case SourceKind.GIT:
                return self._commit(source)
            case SourceKind.FOLDER:
                return self._tree(source)

    def _sdist(self, version: str) -> PackageFile:
        return self._once(
            digest_of("sdist", version),
            lambda scratch: self._cache.keep(self._pip.sdist(PROJECT, version, scratch=scratch)),
        )

    def _commit(self, source: Source) -> PackageFile:
        commit = self._git.commit_of(source.value, source.revision)

        def fetch(scratch: Path) -> PackageFile:
            tree = scratch / "tree"
            self._git.check_out(source.value, commit, tree)
            return self._pack(tree, commit[:12])

        return self._once(digest_of("git", source.value, commit), fetch)

    def _tree(self, source: Source) -> PackageFile:
        if source.revision:
            known = self._cache.find(CachedFile(sha256=source.revision, filename=f"{PROJECT}-tree.tar"))
            if known is not None:
                return known
        file = self._pack(Path(source.value), "tree")
        if source.revision not in (None, file.sha256):
            raise TransferError(f"{source.value} has changed since it was planned", hint="plan again")
        return file

    def _once(self, question: str, fetch: Callable[[Path], PackageFile]) -> PackageFile:
        """Return what answered the question before, else fetch it, in a scratch folder, and remember it."""
        known = self._cache.recall(question, installed={})
        if known is not None:
            return known[0]
        with tempfile.TemporaryDirectory(prefix="dsdeploy-") as scratch:
            file = fetch(Path(scratch))
        self._cache.remember(question, (file,), installed={})
        return file

    def _pack(self, tree: Path, label: str) -> PackageFile:
        """Return a source tree as a file of the cache, whose digest is the tree's."""
        if not (tree / "setup.py").is_file():
            raise TransferError(f"{tree} is no DeepSpeed source tree: it has no setup.py")
        with tempfile.TemporaryDirectory(prefix="dsdeploy-") as scratch:
            archive = Path(scratch, f"{PROJECT}-{label}.tar")
            archive_tree(tree, archive)
            return self._cache.keep(archive)
