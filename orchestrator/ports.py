"""The Protocols between what decides and what acts; stages know only these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from orchestrator.errors import DsdeployError
from orchestrator.model.events import Event
from orchestrator.model.fanout import FanOutResult
from orchestrator.model.outcome import Outcome, Outcomes
from orchestrator.model.recipe import Source
from orchestrator.model.toolchain import Toolchain
from orchestrator.model.wheels import Artifact, BuildKey, Manifest, OpKey, Sha256

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run on a host; no shell ever sees it."""

    argv: tuple[str, ...]
    cwd: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the session's own environment; an empty value removes the variable."""
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a command ended."""

    returncode: int
    """Negative: ended by that signal."""
    elapsed_s: float
    tail: tuple[str, ...] = ()
    """Its last lines (at most 200), standard output and error as they came."""
    peak_memory_bytes: int | None = None


class Conversation(Protocol):
    """An operation that goes on, and is told more while it does."""

    def tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send a message, and raw bytes with it; blocks while the connection takes no more.

        Raises HostError when the connection is lost. What is told after the operation's end is dropped.
        """
        ...

    def cancel(self) -> None:
        """Ask the agent to give up the operation; never raises."""
        ...


class Remote(Protocol):
    """One open agent session: on a host over SSH, or on the controller itself. Safe to use from several threads.

    Every method raises HostError when the connection is lost, and TransferError when bytes do not arrive whole.
    Paths are absolute on that machine, or start with `cache:` for the agent's own folder there.
    """

    @property
    def host(self) -> str:
        """The host's name; `controller` for the local one."""
        ...

    def request(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        timeout_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - a JSON document
        """Ask the agent for one operation and return its result document.

        Raises the DsdeployError that the agent's error names (InstallError, VerifyError, HostError …).
        """
        ...

    def converse(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[Any | DsdeployError], None],
    ) -> Conversation:
        """Start one operation and return at once.

        `on_event` gets its events in order, `on_end` its result document or its error, exactly once and last; a
        connection that is lost ends it with a HostError. Both run in the session's own thread, perhaps before this
        returns, and must not block. Nobody asks a silent agent for signs of life: the operation's events are these.
        When the connection is lost already this raises HostError and calls neither.
        """
        ...

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a command; a non-zero return code is a value, not an error."""
        ...

    def put(
        self,
        source: Path | bytes,
        path: str,
        *,
        mode: int = 0o600,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write a file there: to a temporary name, hashed on arrival, then renamed. Folders are made."""
        ...

    def get(self, path: str, target: Path) -> Sha256:
        """Copy a file here the same way and return its digest."""
        ...

    def workspace(self) -> AbstractContextManager[str]:
        """Make a new private folder on that machine, removed at the end, and also when the connection is lost."""
        ...


class Fleet(Protocol):
    """The hosts of one run: one connection each, opened at first use, kept to the end."""

    def each(
        self,
        hosts: Sequence[str],
        task: Callable[[Remote], T],
        *,
        on_done: Callable[[Outcome[T]], None] | None = None,
    ) -> Outcomes[T]:
        """Run `task` on every host at once and return all outcomes in the order of `hosts`.

        A DsdeployError that a task raises becomes that host's failure; any other exception is a bug and propagates.
        A host that could not be connected to fails here too, without running its task.
        """
        ...

    def remote(self, host: str) -> Remote:
        """Return the open session of one host; raises HostError when it cannot be opened."""
        ...


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A file on the controller and where it belongs on a host."""

    source: Path
    path: str
    """On the host: `cache:wheels/<sha256>/<filename>`."""
    sha256: str
    size_bytes: int


class Carrier(Protocol):
    """Brings files to hosts; how (a star, a chain of relays) is its own affair."""

    def carry(self, parcels: Mapping[str, Sequence[Parcel]], fleet: Fleet, reporter: Reporter) -> FanOutResult:
        """Bring every host (key) its parcels; a host that fails does not stop the others.

        No partial file ever has its final name.
        """
        ...


class Reporter(Protocol):
    """Draws events; safe to call from several threads."""

    def emit(self, event: Event) -> None:
        """Take one event; never raises, never blocks for long."""
        ...
