"""This user's store of wheels."""

from __future__ import annotations

import sys
from collections.abc import Callable

from orchestrator.cli.user_files import read_settings
from orchestrator.store.folder import FolderStore


def _print(text: str) -> None:
    print(text, file=sys.stderr)


def open_store(tell: Callable[[str], None] = _print) -> FolderStore:
    """Return the store; `tell` gets what it waits for and what it cleaned up."""
    return FolderStore(read_settings().data_folder, on_wait=tell, on_note=tell)
