"""This user's own files: settings, hostfile, recipes. What a command does not need of them is not imported."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.cli.options import Targets
from orchestrator.config.settings import Settings, make_settings
from orchestrator.model.hosts import Host


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
