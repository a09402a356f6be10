"""What `verify` learned on one host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class CheckState(str, Enum):
    """How far one op got, best first."""

    RAN = "ran"
    """Loaded, run, and the numbers agree with torch's."""
    LOADED = "loaded"
    FAILED = "failed"
    """An exception: `text` is its last line."""
    WRONG = "wrong"
    """It ran and the numbers differ."""
    CRASHED = "crashed"
    """A signal ended the process."""
    TIMED_OUT = "timed-out"
    ABSENT = "absent"
    """The manifest names it, the installation does not have it."""

    @property
    def is_good(self) -> bool:
        """Whether the op can be used."""
        return self in (CheckState.RAN, CheckState.LOADED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpCheck:
    """One op, really loaded in a fresh process with JIT made impossible."""

    op: str
    state: CheckState
    text: str = ""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpReport:
    """DeepSpeed's own `ds_report`, parsed (its old and new layouts)."""

    installed: Mapping[str, bool] = field(default_factory=dict)
    compatible: Mapping[str, bool] = field(default_factory=dict)
    torch_version: str | None = None
    deepspeed_version: str | None = None
    torch_wheel: str | None = None
    """What the wheel says it was compiled with: `torch 2.13, cuda 0.0`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The rows of the matrix that belong to one host."""

    checks: tuple[OpCheck, ...]
    report: OpReport | None = None
    report_error: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the report was read and every op can be used."""
        return self.report is not None and all(check.state.is_good for check in self.checks)
