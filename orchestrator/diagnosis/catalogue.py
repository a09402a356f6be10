"""The known failures, as data."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources

import yaml

from orchestrator.model.codec import from_document


class Scope(str, Enum):
    """In which part of a deployment a failure shows."""

    BUILD = "build"
    INSTALL = "install"
    """Staging, activating, and the first load of an op."""
    RUN = "run"
    """Launching a job, and what it compiles then."""


class Confidence(str, Enum):
    """How much a line proves."""

    CERTAIN = "certain"
    """The line says it, in words that nothing else says."""
    LIKELY = "likely"
    """The line fits, and so does the rest of the log; or something unknown went wrong before."""
    POSSIBLE = "possible"
    """Nothing in the log speaks against it, and nothing better was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """An expression that tells a failure, under conditions."""

    match: str
    needs: tuple[str, ...] = ()
    """Contexts that must be somewhere in the log."""
    unless: tuple[str, ...] = ()
    """Contexts that must not."""
    confidence: Confidence = Confidence.CERTAIN


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
    link: str | None = None
    """Where upstream speaks of it."""
    errors: tuple[str, ...] = ()
    """Regular expressions: a line that fits is the cause if no earlier one is."""
    signs: tuple[Sign, ...] = ()
    endings: tuple[Sign, ...] = ()
    """Searched in the last lines of a log, which then says nothing more."""
    noise: tuple[str, ...] = ()
    """Regular expressions: a line that fits is never the cause, unless what is `wanted` is in the log."""
    wanted: str | None = None
    op: str | None = None
    """The op that cannot be had because of it."""
    yields: bool = False
    """It usually follows from something else: a cause only where nothing else is found."""
    silent: bool = False
    """It counts in a log that ends well too."""

    @property
    def all_signs(self) -> tuple[Sign, ...]:
        """What a single line can tell, conditions first: they are the special cases."""
        return (*self.signs, *(Sign(match=error) for error in self.errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All entries, in the order in which they are tried on a line."""

    entries: tuple[Entry, ...]
    words: tuple[str, ...] = ("",)
    """A line that holds none of them, nor of `context_words`, is not looked at."""
    context_words: tuple[str, ...] = ()
    """They are not enough for a line that is very long."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Names of what else a log may show."""
    never: tuple[str, ...] = ()
    """Looks like an error and is none."""
    follows: tuple[str, ...] = ()
    """Says that something failed, and not what."""
    fails: tuple[str, ...] = ()
    """Is an error, whatever it is about."""
    succeeds: tuple[str, ...] = ()
    """Last words of what went well."""


@functools.cache
def load_catalogue() -> Catalogue:
    """Return the catalogue beside this module."""
    text = resources.files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return from_document(Catalogue, yaml.load(text, Loader=loader))  # noqa: S506 - both are safe loaders
