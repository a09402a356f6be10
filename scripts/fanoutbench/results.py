"""What was measured, on disk as soon as it is; later runs are added to it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fanoutbench.errors import BenchError
from fanoutbench.measuring import Cost
from orchestrator.model.codec import from_document, to_document
from orchestrator.model.fanout import FanOutReport

SCHEMA = "dsdeploy.fan-out-bench/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One peer, once."""

    contest: str
    peer: str
    date: str
    cost: Cost
    hosts: int
    """Those that were to get the file."""
    whole: int
    """Those that hold it, by its sha256."""
    verified_s: float | None = None
    """From the start of the command until every host had verified the file; ours alone tells, others just end."""
    report: FanOutReport | None = None
    """What ours says that it took."""

    @property
    def wall_s(self) -> float:
        """From the start of the command until every host had the file."""
        return self.cost.wall_s if self.verified_s is None else self.verified_s

    @property
    def is_good(self) -> bool:
        """Whether it brought every host the whole file."""
        return self.cost.returncode == 0 and self.whole == self.hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One peer in one contest: medians over its good runs."""

    wall_s: float
    fastest_s: float
    slowest_s: float
    cpu_s: float
    sent_bytes: float
    file_bytes: float | None
    """How much of the file left the controller; ours alone tells."""
    carrying_s: float | None
    """Its part of the wall time without the program's start; ours alone tells."""
    peak_process_bytes: int
    runs: int


@dataclass(slots=True)
class Results:
    """The results, and the file that keeps them."""

    path: Path
    machine: Mapping[str, Any]
    tools: dict[str, str] = field(default_factory=dict)
    """Tool → version."""
    runs: list[Run] = field(default_factory=list)

    def forget(self, contest: str, peer: str) -> None:
        """Make room for new runs of a peer in a contest."""
        self.runs = [run for run in self.runs if (run.contest, run.peer) != (contest, peer)]

    def keep(self, run: Run) -> None:
        """Add a run and write the file."""
        self.runs.append(run)
        self.write()

    def write(self) -> None:
        """Write the file."""
        document = {
            "schema": SCHEMA,
            "machine": self.machine,
            "tools": self.tools,
            "runs": [to_document(run) for run in self.runs],
        }
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(self.path)

    def standings(self, contest: str) -> dict[str, Standing]:
        """Return the peers of a contest with a good run, the fastest first."""
        good: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.contest == contest and run.is_good:
                good.setdefault(run.peer, []).append(run)
        found = {peer: _standing(runs) for peer, runs in good.items()}
        return dict(sorted(found.items(), key=lambda item: item[1].wall_s))


def _standing(runs: list[Run]) -> Standing:
    costs = [run.cost for run in runs]
    walls = [run.wall_s for run in runs]
    reports = [run.report for run in runs if run.report is not None]
    return Standing(
        wall_s=statistics.median(walls),
        fastest_s=min(walls),
        slowest_s=max(walls),
        cpu_s=statistics.median(cost.cpu_s for cost in costs),
        sent_bytes=statistics.median(cost.sent_bytes for cost in costs),
        file_bytes=statistics.median(report.controller_bytes for report in reports) if reports else None,
        carrying_s=statistics.median(report.elapsed_s for report in reports) if reports else None,
        peak_process_bytes=max(cost.peak_process_bytes for cost in costs),
        runs=len(runs),
    )


def load_results(path: Path, machine: Mapping[str, Any]) -> Results:
    """Return what a file holds, or nothing yet. Raises BenchError when it is another machine's or something else."""
    if not path.exists():
        return Results(path, machine)
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA:
        raise BenchError(f"{path} does not hold results of this benchmark")
    if document["machine"] != machine:
        raise BenchError(f"{path} was measured on another machine: {document['machine']}")
    runs = [from_document(Run, run) for run in document["runs"]]
    return Results(path, machine, document["tools"], runs)
