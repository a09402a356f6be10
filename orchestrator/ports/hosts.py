"""Reaching hosts: one session each, and what goes over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from orchestrator.errors import DsdeployError
from orchestrator.model.fanout import FanOutResult
from orchestrator.model.outcome import Outcome, Outcomes
from orchestrator.model.wheels import Sha256
from orchestrator.ports.telling import Reporter

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
