"""What became of each cell, on disk as soon as it is known; later runs are added to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faultsbench.cells import Cell
from faultsbench.errors import BenchError
from orchestrator.model.codec import from_document, to_document

SCHEMA = "dsdeploy.faults-bench/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """One cell."""

    cell: str
    outcome: str
    """What all hosts had when all was over: `old`, `new`; else `mixed`, `neither`."""
    exit_code: int
    """Of the run that the fault came into; negative: ended by that signal."""
    ends: Mapping[str, str] = field(default_factory=dict)
    """Host → what that run said of it; empty when it could not say anything any more."""
    rest: str
    """What brought the hosts to rest."""
    elapsed_s: float
    findings: tuple[str, ...] = ()
    """What was not as it must be."""

    @property
    def is_good(self) -> bool:
        """Whether everything was as it must be."""
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerResult:
    """What another tool left behind."""

    peer: str
    fault: str
    exit_code: int
    elapsed_s: float
    hosts: Mapping[str, str]
    """Host → what is on its disk, for people."""


@dataclass(slots=True)
class Results:
    """The results, and the file that keeps them."""

    path: Path
    hosts: int
    cells: dict[str, CellResult] = field(default_factory=dict)
    peers: list[PeerResult] = field(default_factory=list)

    def keep(self, result: CellResult) -> None:
        """Add a cell and write the file."""
        self.cells[result.cell] = result
        self.write()

    def write(self) -> None:
        """Write the file, all or nothing."""
        document = {"schema": SCHEMA, "hosts": self.hosts, **to_document({"cells": self.cells, "peers": self.peers})}
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(self.path)

    def lacks(self, cell: Cell) -> bool:
        """Tell whether a cell was not run yet, or did not end well."""
        return cell.name not in self.cells or not self.cells[cell.name].is_good


def load_results(path: Path, hosts: int) -> Results:
    """Return what a file holds, or nothing yet. Raises BenchError when it is of another number of hosts."""
    if not path.exists():
        return Results(path, hosts)
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA or document["hosts"] != hosts:
        raise BenchError(f"{path} does not hold results of this benchmark with {hosts} hosts")
    cells = {name: from_document(CellResult, cell) for name, cell in document["cells"].items()}
    return Results(path, hosts, cells, [from_document(PeerResult, peer) for peer in document["peers"]])
