"""The journal in one SQLite file, for several processes and threads at once."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import StoreError
from orchestrator.journal.changes import completed, decided, ended, remembered
from orchestrator.journal.database import DamagedError, Deployments, use_database
from orchestrator.journal.turns import take_turn
from orchestrator.model.deployment import HostEnd, Stamp
from orchestrator.model.history import Decision, DeploymentRecord

T = TypeVar("T")


def _ignore(_text: str) -> None:
    pass


class SqliteJournal:
    """Deployments in an SQLite file; implements the port Journal.

    The file is opened, checked and closed by every method. A damaged one is set aside, which `on_note` is told, and a
    new one begins. Every method raises StoreError when the file cannot be used, or others have it for longer than
    `patience_s`.
    """

    def __init__(self, path: Path, *, on_note: Callable[[str], None] = _ignore, patience_s: float = 10.0) -> None:
        self._path = path
        self._on_note = on_note
        self._patience_s = patience_s

    def begin(self, record: DeploymentRecord) -> None:
        """Write down a deployment before its first host is changed."""

        def work(deployments: Deployments) -> None:
            if deployments.get(record.id):
                raise StoreError(f"the journal has a deployment {record.id} already")
            deployments.put(record)

        self._use(work)

    def decide(self, deployment: str, decisions: Mapping[str, Decision]) -> None:
        """Write down, host by host, where a deployment goes. Raises StoreError for what the journal does not know."""

        def work(deployments: Deployments) -> None:
            record = deployments.get(deployment)
            if record is None:
                raise StoreError(f"the journal has no deployment {deployment}")
            deployments.put(decided(record, decisions))

        self._use(work)

    def end(self, deployment: str, ends: Mapping[str, HostEnd], ended_at: str) -> None:
        """Write down which distribution hosts have now; unknown deployments and hosts are left out."""

        def work(deployments: Deployments) -> None:
            if record := deployments.get(deployment):
                deployments.put(ended(record, ends, ended_at))

        self._use(work)

    def get(self, deployment: str) -> DeploymentRecord | None:
        """Return a deployment by its id, or by a unique beginning of ≥ 4 characters; None when there is none."""
        return self._use(lambda deployments: deployments.find(deployment))

    def all(self, *, at_most: int | None = None) -> tuple[DeploymentRecord, ...]:
        """Return every deployment, newest first; or the newest ones only."""
        return self._use(lambda deployments: deployments.newest(at_most))

    def learn(self, stamps: Mapping[str, Stamp]) -> None:
        """Add what hosts remember of deployments that this journal does not know, or knows from stamps only."""

        def work(deployments: Deployments) -> None:
            for deployment, told in remembered(stamps).items():
                known = deployments.get(deployment)
                record = completed(known, told)
                if record != known:
                    deployments.put(record)

        self._use(work)

    def _use(self, work: Callable[[Deployments], T]) -> T:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A file for the lock alone: whoever closes the database's own file frees SQLite's locks on it (fcntl(2)).
            with take_turn(self._path.with_name(f".{self._path.name}.lock"), patience_s=self._patience_s):
                try:
                    return use_database(self._path, work, patience_s=self._patience_s)
                except DamagedError as damage:
                    self._on_note(_loss(self._path, damage, place=_set_aside(self._path)))
                return use_database(self._path, work, patience_s=self._patience_s)
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(self._path, error) from error


def _set_aside(path: Path) -> Path:
    """Rename a database and what belongs to it, and return its new path.

    The database goes first: SQLite drops a log that it finds without one, and would replay it into another.
    """
    names = (path.with_name(f"{path.stem}.damaged-{number}{path.suffix}") for number in itertools.count(1))
    place = next(name for name in names if not os.path.lexists(name))
    path.rename(place)
    for companion in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(place.with_name(place.name + companion))
    return place


def _loss(path: Path, damage: DamagedError, *, place: Path) -> str:
    return (
        f"the journal {path} is damaged: {damage}\nit was set aside as {place}, and a new one begins: "
        "it learns of earlier deployments from hosts that are asked"
    )


def _unusable(path: Path, error: OSError | sqlite3.OperationalError) -> StoreError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if "locked" in reason:
        hint = f"another program has it: `fuser -v {path}` says which"
    else:
        hint = "see that there is space and that the folder is yours; what was written down before is still there"
    return StoreError(f"the journal {path} could not be used: {reason}", hint=hint)
