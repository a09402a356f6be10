"""What recovery found on hosts and did there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.deployment import HostEnd, HostLedger, Pending
from orchestrator.model.history import Decision
from orchestrator.model.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryStep:
    """What one host is told about one deployment that it has not ended."""

    pending: Pending
    decision: Decision
    """COMMIT or UNDO."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Hosts at rest, and those that are not."""

    ledgers: Mapping[str, tuple[HostLedger, ...]] = field(default_factory=dict)
    """Host → what it had written down before; hosts that could not be asked are missing."""
    steps: Mapping[str, tuple[RecoveryStep, ...]] = field(default_factory=dict)
    """Host → what it was told; hosts with nothing pending are missing."""
    failures: tuple[Outcome[object], ...] = ()

    def end_of(self, host: str, deployment: str) -> HostEnd:
        """Return which distribution a host has now, seen from one deployment."""
        if host not in self.ledgers or any(outcome.host == host for outcome in self.failures):
            return HostEnd.UNKNOWN
        for step in self.steps.get(host, ()):
            if step.pending.deployment == deployment:
                return HostEnd.NEW if step.decision is Decision.COMMIT else HostEnd.OLD
        return HostEnd.NEW if any(each.committed == deployment for each in self.ledgers[host]) else HostEnd.OLD
