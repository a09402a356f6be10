"""Remembers what compiling each source took, in one small JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.model.codec import DocumentError, from_document, to_document
from orchestrator.ports import PastCompile
from orchestrator.store.drafts import make_private
from orchestrator.store.locks import hold

SCHEMA = "dsdeploy.compile-history/1"
MAX_LABELS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What the file holds."""

    schema: str = SCHEMA
    runs: Mapping[str, PastCompile] = field(default_factory=dict)
    """Label → its last run, oldest first."""


class FileHistory:
    """Earlier compiler runs in one file; implements the port CompileHistory, for several processes at once.

    A file that is damaged, or not ours, is an empty history.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: Mapping[str, PastCompile] | None = None

    def recall(self, label: str) -> PastCompile | None:
        """Return the last run under this label; the file is read at the first call."""
        if self._runs is None:
            self._runs = _read(self._path)
        return self._runs.get(label)

    def remember(self, runs: Mapping[str, PastCompile]) -> None:
        """Add runs to what the file holds by now; the oldest go when there are too many."""
        with suppress(OSError):
            make_private(self._path.parent)
            with hold(self._path.with_name(f".{self._path.name}.lock"), on_wait=_ignore):
                self._runs = _newest({**_without(_read(self._path), runs), **runs})
                _replace(self._path, self._runs)


def _ignore(_text: str) -> None:
    """Wait in silence: whoever has the lock writes a small file."""


def _read(path: Path) -> Mapping[str, PastCompile]:
    try:
        document = from_document(_Document, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, DocumentError):
        return {}
    return document.runs if document.schema == SCHEMA else {}


def _without(known: Mapping[str, PastCompile], replaced: Mapping[str, PastCompile]) -> dict[str, PastCompile]:
    return {label: run for label, run in known.items() if label not in replaced}


def _newest(runs: Mapping[str, PastCompile]) -> dict[str, PastCompile]:
    return dict(list(runs.items())[-MAX_LABELS:])


def _replace(path: Path, runs: Mapping[str, PastCompile]) -> None:
    """Write the file beside its place and rename it; a loss of power may cost the history, and nothing else."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(to_document(_Document(runs=runs))), encoding="utf-8")
    draft.replace(path)
