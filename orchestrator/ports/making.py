"""Making wheels: where they are kept, what they are made of, and with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.model.recipe import Source
from orchestrator.model.toolchain import Toolchain
from orchestrator.model.wheels import Artifact, BuildKey, Manifest, OpKey
from orchestrator.ports.hosts import Remote


class Store(Protocol):
    """Wheels by content, found by build key."""

    def find(self, key: BuildKey) -> Artifact | None:
        """Return the newest wheel built for this key; None when there is none."""
        ...

    def get(self, sha256: str) -> Artifact | None:
        """Return the wheel with this digest (or unique prefix of ≥ 6 digits); None when there is none."""
        ...

    def add(self, wheel: Path, manifest: Manifest) -> Artifact:
        """Take a wheel in: copied, digested, renamed into place; a second add of equal bytes changes nothing."""
        ...

    def path_of(self, artifact: Artifact) -> Path:
        """Return where its file lies; the digest is checked first. Raises StoreError when it does not fit."""
        ...

    def all(self) -> tuple[Artifact, ...]:
        """Return every wheel, newest first."""
        ...

    def lock(self, key: BuildKey) -> AbstractContextManager[None]:
        """Hold the build of one key; a second process waits, told by whom."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTags:
    """For which interpreter and machine wheels are wanted."""

    python_version: str
    """Full version: `3.11.7`."""
    abi_tag: str
    machine: str
    glibc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """A distribution file on the controller's disk."""

    path: Path
    sha256: str

    @property
    def filename(self) -> str:
        """Its name, as pip wants it."""
        return self.path.name


class PackageIndex(Protocol):
    """The configured package index, through pip; what was fetched before is not fetched again."""

    def wheels(
        self, requirements: Sequence[str], tags: TargetTags, *, constraints: Mapping[str, str]
    ) -> tuple[PackageFile, ...]:
        """Return wheels for the requirements and all that they need in turn, for those tags.

        What `constraints` (name → version) holds is taken as installed: never changed, never returned.
        Raises TransferError with pip's reason.
        """
        ...

    def source(self, source: Source) -> PackageFile:
        """Return DeepSpeed's source as one archive file (sdist, or a tar of the git tree or folder)."""
        ...

    def resolve(self, source: Source) -> Source:
        """Return the source with a `revision` that pins its content. Raises TransferError when it cannot be read."""
        ...


class ToolchainProvider(Protocol):
    """Makes one kind of toolchain usable on a builder."""

    def provide(self, toolchain: Toolchain, remote: Remote, tags: TargetTags, python: str) -> tuple[str, ...]:
        """Return the folders on the builder that together hold the CUDA toolkit, the first one winning.

        `python` is any interpreter there, to work with. None are returned for a toolchain without CUDA.
        Raises BuildError when it is not what the plan says any more, TransferError when it cannot be fetched.
        """
        ...


class OpCache(Protocol):
    """Compiled ops, found by op key, on the controller's disk."""

    def find(self, key: OpKey) -> Path | None:
        """Return the library that was compiled for this key, its digest checked; None when there is none."""
        ...

    def add(self, key: OpKey, library: Path) -> None:
        """Take a library in: copied, digested, renamed into place; the file's name is kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCompile:
    """What compiling one source file took, the last time."""

    cpu_s: float
    peak_memory_bytes: int | None


class CompileHistory(Protocol):
    """What is remembered of earlier compiler runs, to start the longest first and to know how much memory they take."""

    def recall(self, label: str) -> PastCompile | None:
        """Return the last run under this label: the source's path and what its time depends on most."""
        ...

    def remember(self, runs: Mapping[str, PastCompile]) -> None:
        """Keep runs, label → what it took; never raises: a history that cannot be written is only forgotten."""
        ...
