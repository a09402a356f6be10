"""This user's own files: settings, hostfile, recipes, store. Nothing that a connection needs is imported here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orchestrator.cli.options import Targets
from orchestrator.config.filters import apply_filters
from orchestrator.config.hostfile import load_hostfile
from orchestrator.config.recipes import recipe_folders
from orchestrator.config.settings import Settings, make_settings
from orchestrator.model.events import Note
from orchestrator.model.hosts import Host
from orchestrator.ports import Reporter
from orchestrator.store.folder import FolderStore


def read_settings() -> Settings:
    """Return this user's settings."""
    return make_settings(os.environ, Path.home())


def load_hosts(targets: Targets) -> tuple[Host, ...]:
    """Return the hosts that the options choose. Raises UsageError, ConfigError."""
    hosts = load_hostfile(targets.hostfile or read_settings().hostfile)
    return apply_filters(hosts, include=targets.include, exclude=targets.exclude)


def find_recipe_folders() -> tuple[Path, ...]:
    """Return where recipes are looked for."""
    return recipe_folders(project=Path.cwd(), user=read_settings().recipes_folder)


def open_store(reporter: Reporter | None = None) -> FolderStore:
    """Return this user's store of wheels."""

    def tell(text: str) -> None:
        if reporter is None:
            print(text, file=sys.stderr)
        else:
            reporter.emit(Note(text=text))

    return FolderStore(read_settings().data_folder, on_wait=tell, on_note=tell)
