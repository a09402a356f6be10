"""Hosts in memory: each remembers what it was asked, and answers as the agent does.

`FakeFleet` keeps the contract of tests/remote/test_fleet_contract.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import DsdeployError, HostError, TransferError
from orchestrator.model.codec import to_document
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.verification import CheckState, OpCheck, OpReport, Verification
from orchestrator.model.wheels import Sha256
from orchestrator.ports import Command, Completed, Remote

T = TypeVar("T")


class FakeFleet:
    """Asks hosts one after another; `requests` is the story of the whole run as (host, operation)."""

    def __init__(self, facts: Mapping[str, Facts], *, unreachable: Sequence[str] = ()) -> None:
        self.requests: list[tuple[str, str]] = []
        self.remotes = {host: FakeRemote(host, found, self.requests) for host, found in facts.items()}
        self.unreachable = unreachable

    def each(
        self,
        hosts: Sequence[str],
        task: Callable[[Remote], T],
        *,
        on_done: Callable[[Outcome[T]], None] | None = None,
    ) -> Outcomes[T]:
        outcomes: list[Outcome[T]] = []
        bugs: list[Exception] = []
        for host in hosts:
            try:
                outcome = self._outcome(host, task)
            except Exception as bug:  # noqa: BLE001 - raised when all hosts are done
                bugs.append(bug)
                continue
            outcomes.append(outcome)
            if on_done is not None:
                on_done(outcome)
        if bugs:
            raise bugs[0]
        return Outcomes(items=tuple(outcomes))

    def remote(self, host: str) -> Remote:
        if host in self.unreachable:
            raise HostError(f"{host} refused the connection", hint="start its sshd")
        return self.remotes[host]

    def asked(self, operation: str) -> list[str]:
        """The hosts that were asked for an operation, in order."""
        return [host for host, asked in self.requests if asked == operation]

    def _outcome(self, host: str, task: Callable[[Remote], T]) -> Outcome[T]:
        try:
            return Outcome(host=host, value=task(self.remote(host)), elapsed_s=0.25)
        except DsdeployError as error:
            return Outcome(host=host, failure=Failure.of(error), elapsed_s=0.25)


class FakeRemote:
    """One host with files, an installed version and a stamp; `errors` and `states` say what goes wrong there."""

    def __init__(self, host: str, facts: Facts, requests: list[tuple[str, str]]) -> None:
        self.host = host
        self.facts = facts
        self.files: dict[str, bytes] = {}
        self.stamp: dict[str, Any] | None = None
        self.pending: dict[str, Any] | None = None
        """The deployment that is under way here, with the stamp that would be committed."""
        self.committed: str | None = None
        self.is_held = False
        self.parameters: dict[str, dict[str, Any]] = {}
        """Operation → what was last asked with it."""
        self.errors: dict[str, BaseException] = {}
        """Operation → what it raises."""
        self.after: dict[str, dict[str, BaseException]] = {}
        """Operation → the errors that there are from then on."""
        self.answers: dict[str, Any] = {}
        """Operation → what it says instead of its own answer."""
        self.states: dict[str, CheckState] = {}
        """Op → how far it gets, when it does not run."""
        self._requests = requests

    def request(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        timeout_s: float | None = None,  # noqa: ARG002 - it answers at once
    ) -> Any:
        self._note(operation)
        self.parameters[operation] = dict(parameters)
        if operation in self.answers:
            return self.answers[operation]
        if operation == "verify":
            return self._verify(parameters, on_event)
        operations: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "facts": self._describe,
            "has": self._compare,
            "state": self._state,
            "stage": self._stage,
            "activate": self._activate,
            "verified": self._verified,
            "commit": self._commit,
            "leave": self._leave,
            "undo": self._undo,
        }
        return operations[operation](parameters)

    def converse(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[Any | DsdeployError], None],
    ) -> FakeConversation:
        """Say all that `request` would, and end, before returning; a lock is held until it is released."""
        if operation == "hold":
            return self._hold(on_event, on_end)
        try:
            result = self.request(operation, parameters, on_event=on_event)
        except DsdeployError as error:
            result = error
        on_end(result)
        return FakeConversation()

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        raise AssertionError(f"no stage runs commands itself: {command} {on_line}")

    def put(
        self,
        source: Path | bytes,
        path: str,
        *,
        mode: int = 0o600,  # noqa: ARG002 - it has no users
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._note("put")
        content = source if isinstance(source, bytes) else source.read_bytes()
        half = len(content) // 2
        for sent in (half, len(content)):
            if on_progress is not None:
                on_progress(sent, len(content))
        self.files[path] = content

    def get(self, path: str, target: Path) -> Sha256:
        self._note("get")
        if path not in self.files:
            raise TransferError(f"{path}: no such file")
        target.write_bytes(self.files[path])
        return Sha256(hashlib.sha256(self.files[path]).hexdigest())

    @contextmanager
    def workspace(self) -> Iterator[str]:
        self._note("workspace")
        yield "/work"

    def _note(self, operation: str) -> None:
        self._requests.append((self.host, operation))
        error = self.errors.get(operation)
        self.errors.update(self.after.get(operation, {}))
        if error is not None:
            raise error

    def _describe(self, _parameters: Mapping[str, Any]) -> Any:
        return to_document(self.facts)

    def _compare(self, parameters: Mapping[str, Any]) -> Any:
        return {"missing": [file["path"] for file in parameters["files"] if not self._has(file)]}

    def _hold(
        self, on_event: Callable[[Mapping[str, Any]], None], on_end: Callable[[Any | DsdeployError], None]
    ) -> FakeConversation:
        try:
            self._note("hold")
        except DsdeployError as error:
            on_end(error)
            return FakeConversation()
        self.is_held = True
        on_event({"event": "held", "note": None})
        return FakeLock(self, on_end)

    def _state(self, _parameters: Mapping[str, Any]) -> Any:
        words = ("deployment", "state", "prefix", "author", "since", "before", "after")
        pending = self.pending and {word: self.pending[word] for word in words}
        ledger = {"prefix": "/opt/venv", "stamp": self.stamp, "pending": pending, "committed": self.committed}
        return [ledger] if pending or self.committed else []

    def _stage(self, parameters: Mapping[str, Any]) -> Any:
        assert self.is_held
        return {"changes": [f"deepspeed-{parameters['version']}"]}

    def _activate(self, parameters: Mapping[str, Any]) -> Any:
        assert self.is_held
        assert self.pending is None
        self.pending = {
            "deployment": parameters["deployment"],
            "state": "activated",
            "prefix": "/opt/venv",
            "author": parameters["author"],
            "since": "2026-01-02T03:04:05+00:00",
            "before": None,
            "after": parameters["version"],
            "stamp": parameters["stamp"] and {**parameters["stamp"], "record_sha256": "c" * 64},
        }
        return {"version": parameters["version"], "record_sha256": "c" * 64}

    def _verified(self, parameters: Mapping[str, Any]) -> Any:
        assert self.pending is not None
        assert self.pending["deployment"] == parameters["deployment"]
        self.pending["state"] = "verified"
        return {}

    def _commit(self, parameters: Mapping[str, Any]) -> Any:
        assert self.is_held
        if self.committed != parameters["deployment"]:
            assert self.pending is not None
            assert self.pending["state"] == "verified"
            self.stamp, self.committed, self.pending = self.pending["stamp"], parameters["deployment"], None
        return {}

    def _leave(self, _parameters: Mapping[str, Any]) -> Any:
        assert self.is_held
        self.pending = self.stamp = None
        return {}

    def _undo(self, _parameters: Mapping[str, Any]) -> Any:
        assert self.is_held
        self.pending = None
        return self._state({})

    def _has(self, file: Mapping[str, str]) -> bool:
        content = self.files.get(file["path"])
        return content is not None and hashlib.sha256(content).hexdigest() == file["sha256"]

    def _verify(self, parameters: Mapping[str, Any], on_event: Callable[[Mapping[str, Any]], None] | None) -> Any:
        names = [op["name"] for op in parameters["ops"]]
        checks = tuple(OpCheck(op=name, state=self.states.get(name, CheckState.RAN)) for name in names)
        for check in checks:
            if on_event is not None:
                on_event({"event": "check", **to_document(check)})
        report = OpReport(installed=dict.fromkeys(names, True), deepspeed_version=parameters["version"])
        return to_document(Verification(checks=checks, report=report))


class FakeConversation:
    """One that is over."""

    def tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:
        pass

    def cancel(self) -> None:
        pass


class FakeLock(FakeConversation):
    """One that goes on until the lock is released."""

    def __init__(self, remote: FakeRemote, on_end: Callable[[Any | DsdeployError], None]) -> None:
        self._remote = remote
        self._on_end = on_end

    def tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:  # noqa: ARG002 - it needs none
        if message["do"] == "release":
            self.cancel()

    def cancel(self) -> None:
        if self._remote.is_held:
            self._remote.is_held = False
            self._on_end({})
