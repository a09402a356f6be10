"""The journal's database: opened, checked, used and closed within one call, so that nothing stays open.

Its one table holds a JSON document per deployment, written and read as a whole: a further field needs no new schema.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import StoreError
from orchestrator.model.codec import from_document, to_document
from orchestrator.model.history import DeploymentRecord

T = TypeVar("T")

SCHEMA = 1
"""In `user_version`; it is raised when an older dsdeploy could no longer read what is written."""
_TABLE = "CREATE TABLE deployments (id TEXT PRIMARY KEY NOT NULL, record TEXT NOT NULL) WITHOUT ROWID"
_SHORTEST_BEGINNING = 4


class DamagedError(Exception):
    """The file is no journal, or not any more; the message says why."""


class Deployments:
    """The deployments of an open journal, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, deployment: str) -> DeploymentRecord | None:
        """Return a deployment by its whole id."""
        return next(self._select("WHERE id = ?", _key(deployment)), None)

    def find(self, beginning: str) -> DeploymentRecord | None:
        """Return a deployment by its id, or by a beginning of ≥ 4 characters that no other has."""
        exact = self.get(beginning)
        if exact or len(beginning) < _SHORTEST_BEGINNING:
            return exact
        found = list(self._select("WHERE substr(id, 1, ?) = ? LIMIT 2", len(beginning), _key(beginning)))
        return found[0] if len(found) == 1 else None

    def newest(self, at_most: int | None) -> tuple[DeploymentRecord, ...]:
        """Return deployments, newest first: an id begins with the time."""
        return tuple(self._select("ORDER BY id DESC LIMIT ?", -1 if at_most is None else at_most))

    def put(self, record: DeploymentRecord) -> None:
        """Write a deployment, in place of what was known of it."""
        row = _key(record.id), json.dumps(to_document(record))
        self._connection.execute("INSERT OR REPLACE INTO deployments VALUES (?, ?)", row)

    def _select(self, which: str, *values: object) -> Iterator[DeploymentRecord]:
        query = f"SELECT record FROM deployments {which}"  # noqa: S608 - `which` is written above
        for (text,) in self._connection.execute(query, values):
            try:
                yield from_document(DeploymentRecord, json.loads(text))
            except ValueError as error:
                raise DamagedError(f"a record cannot be read: {error}") from error


def use_database(path: Path, work: Callable[[Deployments], T], *, patience_s: float) -> T:
    """Do work in one transaction on the journal at `path`, made when there is none; then what it wrote is on disk.

    For one caller at a time. Raises DamagedError when the file is no journal, StoreError when a newer dsdeploy wrote
    it, OSError and sqlite3.OperationalError when it cannot be used, or another program has it locked.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        with closing(_connect(path, patience_s)) as connection:
            return _transact(connection, path, work)
    except sqlite3.OperationalError:
        # Perhaps this file system cannot share memory, as several at once would need it (sqlite.org/wal.html, 8).
        with closing(_connect(path, patience_s)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            return _transact(connection, path, work)


def _connect(path: Path, patience_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=patience_s, isolation_level=None)
    connection.text_factory = bytes.decode  # a damaged text is a UnicodeDecodeError then, not an OperationalError
    return connection


def _transact(connection: sqlite3.Connection, path: Path, work: Callable[[Deployments], T]) -> T:
    try:
        is_empty = _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = EXTRA")  # FULL, and more where there is no WAL after all
        connection.execute("BEGIN IMMEDIATE")
        if is_empty:
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        result = work(Deployments(connection))
        connection.execute("COMMIT")
    except UnicodeDecodeError as error:
        raise DamagedError(str(error)) from error
    except sqlite3.DatabaseError as error:
        if type(error) is sqlite3.DatabaseError:  # its subclasses are not about the file's content
            raise DamagedError(str(error)) from error
        raise
    return result


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether the file is new; nothing is written. Raises DamagedError, StoreError."""
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise DamagedError(finding)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer dsdeploy: its schema is {version}, this one knows {SCHEMA}",
            hint="use that dsdeploy; the file was not touched",
        )
    tables = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")]
    if (tables or version) and not (_TABLE in tables and version):
        raise DamagedError("its tables are not those of a journal")
    return not tables


def _key(deployment: str) -> str:
    """Return an id as SQLite can hold it: what is no character at all, words of a command line may have."""
    return deployment.encode("utf-8", "replace").decode()
