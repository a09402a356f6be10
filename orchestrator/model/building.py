"""What became of one signature's wheel in a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.model.outcome import Failure, Outcome
from orchestrator.model.signature import Signature
from orchestrator.model.timings import BuildTimings
from orchestrator.model.wheels import Artifact, BuildKey


class WheelState(str, Enum):
    """How a run ended for one signature."""

    BUILT = "built"
    STORED = "stored"
    """The store held it, or another process built it meanwhile."""
    FETCHED = "fetched"
    """It was copied from a host into the store."""
    KEPT = "kept"
    """Every host has it, so nobody asked for it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelResult:
    """One signature and its wheel, or why there is none."""

    signature: Signature
    build_key: BuildKey
    hosts: tuple[str, ...]
    """Hosts of the group, in hostfile order."""
    state: WheelState
    artifact: Artifact | None = None
    """None when it failed, and when hosts keep what the store no longer holds."""
    failure: Failure | None = None
    """Set exactly when the state is FAILED."""
    timings: BuildTimings | None = None
    """Set exactly when the state is BUILT."""
    elapsed_s: float = 0.0
    logs: str | None = None
    """The folder of its logs, when compiling began; None otherwise."""

    @property
    def outcome(self) -> Outcome[object]:
        """The result as an outcome, named by the signature's label, which says more to people than a build key."""
        return Outcome(host=self.signature.label, failure=self.failure, elapsed_s=self.elapsed_s)
