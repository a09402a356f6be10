"""What was measured, phase by phase, in one file; and what the goals say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cudabench.measuring import Cost
from cudabench.wheel_checks import CheckedWheel
from orchestrator.model.codec import from_document, to_document

SCHEMA = "dsdeploy.cuda-bench/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """One phase: what it cost, and the wheel that it made."""

    cost: Cost
    wheel: CheckedWheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a phase may cost: a share of another phase, or seconds."""

    phase: str
    quantity: str
    """A field of Cost."""
    at_most: float
    relative_to: str | None = None

    @property
    def text(self) -> str:
        """The goal as people write it."""
        if self.relative_to is None:
            return f"< {self.at_most:g} s"
        words = {"wall_s": "wall", "cpu_s": "CPU"}
        return f"≤ {self.at_most:.0%} of {self.relative_to}'s {words[self.quantity]}"

    def measured(self, phases: Mapping[str, PhaseResult]) -> float | None:
        """Return the share, or the seconds; None as long as something is missing."""
        names = [self.phase, *([self.relative_to] if self.relative_to else [])]
        if not phases.keys() >= set(names):
            return None
        value, *base = (float(getattr(phases[name].cost, self.quantity)) for name in names)
        return value / base[0] if base else value


GOALS = (
    Goal(phase="ours", quantity="wall_s", at_most=0.85, relative_to="upstream"),
    Goal(phase="again", quantity="wall_s", at_most=2.0),
    Goal(phase="add-op", quantity="wall_s", at_most=0.05, relative_to="ours"),
    Goal(phase="second-python", quantity="cpu_s", at_most=0.50, relative_to="ours"),
    Goal(phase="fat", quantity="cpu_s", at_most=0.35, relative_to="ours"),
)
"""What must be reached and what is hoped for."""


@dataclass(slots=True)
class Results:
    """The results file; every phase is on disk as soon as it is done."""

    path: Path
    machine: Mapping[str, Any] = field(default_factory=dict)
    phases: dict[str, PhaseResult] = field(default_factory=dict)

    def keep(self, phase: str, result: PhaseResult) -> None:
        """Add a phase and write the file."""
        self.phases[phase] = result
        document = {
            "schema": SCHEMA,
            "machine": self.machine,
            "phases": to_document(self.phases),
            "goals": {goal.phase: {"goal": goal.text, "measured": goal.measured(self.phases)} for goal in GOALS},
        }
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(self.path)


def load_results(path: Path, machine: Mapping[str, Any]) -> Results:
    """Return what was measured so far."""
    results = Results(path, machine)
    if path.exists():
        phases = json.loads(path.read_text(encoding="utf-8"))["phases"]
        results.phases |= {name: from_document(PhaseResult, kept) for name, kept in phases.items()}
    return results
