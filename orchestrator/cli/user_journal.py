"""This user's journal of deployments."""

from __future__ import annotations

import sys
from collections.abc import Callable

from orchestrator.cli.user_files import read_settings
from orchestrator.journal.sqlite_journal import SqliteJournal


def _print(text: str) -> None:
    print(text, file=sys.stderr)


def open_journal(tell: Callable[[str], None] = _print) -> SqliteJournal:
    """Return the journal; `tell` gets what was set aside because it was damaged."""
    return SqliteJournal(read_settings().data_folder / "journal.db", on_note=tell)
