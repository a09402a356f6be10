"""Hosts that are folders: the agent's own code changes them, in this process, and dies where it is told to.

What is not the agent's own here: the connection, the lock (a flag), and pip (files are written by hand, one by one).
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fakes.fleet import FakeConversation

from orchestrator.agent.cache import Cache
from orchestrator.agent.change import Change
from orchestrator.agent.disk import Disk
from orchestrator.agent.errors import AgentError
from orchestrator.agent.keeping import survey
from orchestrator.agent.ledger import all_ledgers
from orchestrator.agent.own_files import Site
from orchestrator.agent.record import check_record
from orchestrator.errors import DsdeployError, HostError, InstallError
from orchestrator.model.codec import to_document
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.verification import CheckState, OpCheck, OpReport, Verification
from orchestrator.ports import Remote

T = TypeVar("T")
OLD = {
    "deepspeed/__init__.py": "old",
    "deepspeed/ops/adam.so": "old library",
    "deepspeed/gone.py": "",
    "../bin/ds": "old",
}
NEW = {
    "deepspeed/__init__.py": "new",
    "deepspeed/ops/adam.so": "new library",
    "deepspeed/came/x.py": "",
    "../bin/ds": "new",
}
CHANGES = tuple(name for name in vars(Disk) if not name.startswith("_"))


class DiedError(BaseException):
    """The agent is dead; nothing in it catches this."""


class KilledError(BaseException):
    """The controller is dead; nothing in it may act any more."""


class MortalDisk(Disk):
    """Dies in place of its n-th change."""

    def __init__(self, changes_left: int | None) -> None:
        self.changes_left = changes_left

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGES and self.changes_left is not None:
            if not self.changes_left:
                raise DiedError
            self.changes_left -= 1
        return super().__getattribute__(name)


@dataclass(kw_only=True)
class Fate:
    """What goes wrong on one host, over all its connections."""

    dies_after: list[int | None] = field(default_factory=list)
    """Connection by connection: after so many changes to its disk the agent dies; None, or past the end: it lives."""
    is_op_bad: bool = False
    pip_fails: bool = False
    loses_answer_to: str | None = None
    """The operation that is carried out, and whose answer the first connection loses."""


class TmpHost:
    """One host: an interpreter's folder with DeepSpeed in it, the agent's cache, and at most one connection."""

    def __init__(self, host: str, folder: Path, fate: Fate) -> None:
        self.host = host
        self.fate = fate
        self.prefix = folder / "venv"
        self.cache = Cache(str(folder / "cache"))
        Path(self.cache.folder).mkdir(parents=True)
        self._lib = self.prefix / "lib"
        install(self._lib, "1", OLD, Disk())
        paths = {"platlib": "lib", "purelib": "lib", "scripts": "bin", "data": ".", "headers": "include"}
        self._site = Site({name: str(self.prefix / path) for name, path in paths.items()})
        self.is_lost = False
        self._disk = MortalDisk(None)
        self._has_lock = False
        self.connect()

    def connect(self) -> None:
        """Begin a new connection; the old one's agent has ended, and with it its lock."""
        self.is_lost = self._has_lock = False
        self._disk = MortalDisk(self.fate.dies_after.pop(0) if self.fate.dies_after else None)

    def version(self) -> str | None:
        """Return which DeepSpeed is really here; None when it is neither the old one nor the new one, byte for byte."""
        found = tree(self.prefix)
        return next(
            (version for version, files in (("1", OLD), ("2", NEW)) if found == expected_tree(version, files)), None
        )

    def is_at_rest(self) -> bool:
        return not any(ledger.pending for ledger in all_ledgers(self.cache))

    def converse(
        self,
        operation: str,
        parameters: Mapping[str, Any],  # noqa: ARG002 - as in the port
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[Any | DsdeployError], None],
    ) -> FakeConversation:
        assert operation == "hold"
        if self.is_lost:
            raise HostError(f"the connection to {self.host} was lost")
        self._has_lock = True
        on_event({"event": "held", "note": None})
        return _Lock(self, on_end)

    def release(self) -> None:
        self._has_lock = False

    def request(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,  # noqa: ARG002 - as in the port
        timeout_s: float | None = None,  # noqa: ARG002 - as in the port
    ) -> Any:
        if self.is_lost:
            raise HostError(f"the connection to {self.host} was lost")
        try:
            answer = getattr(self, f"_{operation}")(parameters)
        except AgentError as error:
            raise InstallError(f"{self.host}: {error.message}") from error
        except DiedError:
            self.is_lost = True
            raise HostError(f"the connection to {self.host} was lost") from None
        if self.fate.loses_answer_to == operation:
            self.fate.loses_answer_to = None
            self.is_lost = True
            raise HostError(f"the connection to {self.host} was lost")
        return answer

    def _stage(self, _parameters: Mapping[str, Any]) -> Any:
        self._change().refuse_pending()
        return {}

    def _activate(self, parameters: Mapping[str, Any]) -> Any:
        assert self._has_lock
        change = self._change()
        metadata = self._lib / "deepspeed-2.dist-info"
        incoming = [*(str(self._lib / name) for name in NEW), str(metadata / "RECORD")]
        pending = {
            "deployment": parameters["deployment"],
            "prefix": str(self.prefix),
            "author": parameters["author"],
            "since": "2026-01-02T03:04:05Z",
            "before": "1",
            "after": "2",
            "stamp": parameters["stamp"],
        }
        change.begin(pending, survey(self._site, ["deepspeed"], incoming))
        uninstall(self._lib, OLD, "1", self._disk)
        if self.fate.pip_fails:
            raise AgentError("install", "pip ended with 1")
        install(self._lib, "2", NEW, self._disk)
        change.activated(check_record(str(metadata)))
        return {"version": "2", "record_sha256": "c" * 64}

    def _verify(self, _parameters: Mapping[str, Any]) -> Any:
        state = CheckState.CRASHED if self.fate.is_op_bad else CheckState.RAN
        return to_document(Verification(checks=(OpCheck(op="adam", state=state),), report=OpReport()))

    def _verified(self, parameters: Mapping[str, Any]) -> Any:
        self._change().verified(parameters["deployment"])
        return {}

    def _commit(self, parameters: Mapping[str, Any]) -> Any:
        assert self._has_lock
        self._change().commit(parameters["deployment"])
        return {}

    def _undo(self, parameters: Mapping[str, Any]) -> Any:
        assert self._has_lock
        change = self._change()
        change.undo(parameters["deployment"])
        return change.ledger.document()

    def _leave(self, parameters: Mapping[str, Any]) -> Any:
        assert self._has_lock
        self._change().leave(parameters["deployment"])
        return {}

    def _state(self, _parameters: Mapping[str, Any]) -> Any:
        return [ledger.document() for ledger in all_ledgers(self.cache)]

    def _change(self) -> Change:
        return Change(self.cache, str(self.prefix), self._disk)


class TmpFleet:
    """The hosts, asked one after another; `request_counter` may stop the controller at any request."""

    def __init__(self, hosts: Mapping[str, TmpHost], before_request: Callable[[], None]) -> None:
        self._hosts = hosts
        self._before_request = before_request

    def each(
        self, hosts: Sequence[str], task: Callable[[Remote], T], *, on_done: Callable[[Outcome[T]], None] | None = None
    ) -> Outcomes[T]:
        outcomes = []
        for host in hosts:
            self._before_request()
            try:
                outcome = Outcome(host=host, value=task(self.remote(host)))
            except DsdeployError as error:
                outcome = Outcome(host=host, failure=Failure.of(error))
            outcomes.append(outcome)
            if on_done is not None:
                on_done(outcome)
        return Outcomes(items=tuple(outcomes))

    def remote(self, host: str) -> Remote:
        return self._hosts[host]  # type: ignore[return-value]  # it has the part of the port that a change needs


class _Lock(FakeConversation):
    def __init__(self, host: TmpHost, on_end: Callable[[Any | DsdeployError], None]) -> None:
        self._host = host
        self._on_end = on_end

    def tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:  # noqa: ARG002 - as in the port
        if message["do"] == "release":
            self._host.release()
            self._on_end({})


def install(lib: Path, version: str, files: Mapping[str, str], disk: Disk) -> None:
    """Write a distribution file by file, its RECORD last, as pip does."""
    for name, content in _contents(version, files).items():
        path = lib / name
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write(str(path), content)


def uninstall(lib: Path, files: Mapping[str, str], version: str, disk: Disk) -> None:
    """Remove a distribution as pip does: its metadata set aside first, then file by file."""
    aside = lib / f"~eepspeed-{version}.dist-info"
    disk.rename(str(lib / f"deepspeed-{version}.dist-info"), str(aside))
    for name in files:
        disk.remove(str(lib / name))
    shutil.rmtree(aside)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file below a folder: its mode and bytes."""
    files = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    return {str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) for path in files}


def expected_tree(version: str, files: Mapping[str, str]) -> dict[str, tuple[int, bytes]]:
    """Return what `tree` says of a distribution that is whole, and alone."""
    found = {("lib/" + name).replace("lib/../", ""): content for name, content in _contents(version, files).items()}
    return {name: (0o600, found[name]) for name in sorted(found)}


def _contents(version: str, files: Mapping[str, str]) -> dict[str, bytes]:
    metadata = f"deepspeed-{version}.dist-info"
    contents = {name: text.encode() for name, text in files.items()}
    contents[f"{metadata}/METADATA"] = f"Name: deepspeed\nVersion: {version}\n".encode()
    rows = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in contents.items()]
    contents[f"{metadata}/RECORD"] = "\n".join([*rows, f"{metadata}/RECORD,,", ""]).encode()
    return contents


def _digest(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
