"""The known failures, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from importlib import resources

import yaml

from orchestrator.model.codec import from_document


class Scope(str, Enum):
    """In which part of a deployment a failure shows."""

    BUILD = "build"
    INSTALL = "install"
    """Staging, activating, and the first load of an op."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One failure that users meet: how to know it, its cause, what to do."""

    id: str
    scope: Scope
    cause: str
    """May show values: `{name}` of a named group, as may `fix` and `command`."""
    fix: str
    command: str | None = None
    """A command to look closer, or to put it right; None when there is nothing to do."""
    errors: tuple[str, ...] = ()
    """Regular expressions: a line that fits is the cause if no earlier one is."""
    noise: tuple[str, ...] = ()
    """Regular expressions: a line that fits is never the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All entries, in the order in which they are tried on a line."""

    entries: tuple[Entry, ...]
    noise: tuple[str, ...] = ()
    """What is never a cause, whatever the entry."""


def load_catalogue() -> Catalogue:
    """Return the catalogue beside this module."""
    text = resources.files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return from_document(Catalogue, yaml.safe_load(text))
