"""What the options, the environment and the working folder choose: files, hosts, recipes, the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.cli.options import Targets
from orchestrator.config.settings import Settings, make_settings
from orchestrator.model.hosts import Host
from orchestrator.store.folder import FolderStore


def read_settings() -> Settings:
    """Return this user's settings."""
    return make_settings(os.environ, Path.home())


def load_hosts(targets: Targets) -> tuple[Host, ...]:
    """Return the hosts that the options choose. Raises UsageError, ConfigError."""
    from orchestrator.config.filters import apply_filters
    from orchestrator.config.hostfile import load_hostfile

    hosts = load_hostfile(targets.hostfile or read_settings().hostfile)
    return apply_filters(hosts, include=targets.include, exclude=targets.exclude)


def find_recipe_folders() -> tuple[Path, ...]:
    """Return where recipes are looked for."""
    from orchestrator.config.recipes import recipe_folders

    return recipe_folders(project=Path.cwd(), user=read_settings().recipes_folder)


def open_store(tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr)) -> FolderStore:
    """Return this user's store of wheels; `tell` gets what it waits for and what it cleaned up."""
    return FolderStore(read_settings().data_folder, on_wait=tell, on_note=tell)
