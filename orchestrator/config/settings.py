"""Where this user's files are, from an environment given as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_DEEPSPEED_HOSTFILE = Path("/job/hostfile")
"""DLTS_HOSTFILE in deepspeed/launcher/runner.py (DeepSpeed 0.19.8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Folders (which need not exist yet) and the hostfile meant when none is named."""

    cache_folder: Path
    """What can be made again: downloads, compiled ops."""
    data_folder: Path
    """What is kept: the store of wheels."""
    state_folder: Path
    """Logs and records of deployments."""
    recipes_folder: Path
    """The user's own recipes."""
    hostfile: Path
    """`$DSDEPLOY_HOSTFILE`; without it, DeepSpeed's own default."""


def make_settings(environ: Mapping[str, str], home: Path) -> Settings:
    """Return the settings of the user whose home this is (XDG Base Directory Specification 0.8)."""

    def folder(variable: str, default: str) -> Path:
        # The specification: a relative path in these variables is invalid and to be ignored.
        named = Path(environ.get(variable, ""))
        return (named if named.is_absolute() else home / default) / "dsdeploy"

    named_hostfile = environ.get("DSDEPLOY_HOSTFILE", "")
    return Settings(
        cache_folder=folder("XDG_CACHE_HOME", ".cache"),
        data_folder=folder("XDG_DATA_HOME", ".local/share"),
        state_folder=folder("XDG_STATE_HOME", ".local/state"),
        recipes_folder=folder("XDG_CONFIG_HOME", ".config") / "recipes",
        hostfile=Path(named_hostfile) if named_hostfile else _DEEPSPEED_HOSTFILE,
    )
