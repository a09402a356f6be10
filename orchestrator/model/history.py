"""What a controller remembers of its deployments, and what a rollback would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.model.deployment import HostEnd
from orchestrator.model.plan import HostVerdict

ROLLBACK_SCHEMA = "dsdeploy.rollback-plan/1"


class DeploymentKind(str, Enum):
    """What kind of change a deployment was."""

    INSTALL = "install"
    ROLLBACK = "rollback"


class Decision(str, Enum):
    """Where a deployment goes; it is on the controller's disk before the first host is told."""

    OPEN = "open"
    """Not decided: until now everything may go back."""
    COMMIT = "commit"
    UNDO = "undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """What one deployment meant for one host."""

    host: str
    decision: Decision = Decision.OPEN
    """This host's own: one that was dropped goes back while the others are committed."""
    end: HostEnd | None = None
    """None while it goes on, or when the controller died before it knew."""
    version: str | None = None
    """DeepSpeed's version that it was to get; None when it was to be taken out."""
    before: str | None = None
    """DeepSpeed's version that it had; None when it had none, or that is not known."""
    wheel_sha256: str | None = None
    build_key: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """One deployment, as the controller's journal has it."""

    id: str
    kind: DeploymentKind
    started_at: str
    """UTC, ISO 8601."""
    author: str
    """user@controller."""
    hosts: tuple[HostRecord, ...]
    """In hostfile order."""
    decision: Decision = Decision.OPEN
    ended_at: str | None = None
    """None while it goes on, or when the controller died."""
    recipe: str | None = None
    is_from_stamps: bool = False
    """Rebuilt from what hosts remember: hosts that were not asked are missing, and so is what did not end well."""

    @property
    def is_over(self) -> bool:
        """Whether every host is known to be in one of its two states."""
        return self.ended_at is not None and not any(host.end in (None, HostEnd.UNKNOWN) for host in self.hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What a rollback does to one host: INSTALL puts back what is kept there, KEEP leaves it, REJECT cannot."""

    host: str
    verdict: HostVerdict
    reason: str
    hint: str | None = None
    kept: str | None = None
    """Id of what is kept there; set exactly when the verdict is INSTALL."""
    version: str | None = None
    """DeepSpeed's version that is put back; None when there was none before."""
    now: str | None = None
    """DeepSpeed's version that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPlan:
    """What `rollback` prints and then executes."""

    schema: str = ROLLBACK_SCHEMA
    undoes: str
    """Id of the newest deployment that is taken back."""
    to: str | None
    """Id of the deployment whose state comes back; None: what was there before dsdeploy."""
    hosts: tuple[RestorePlan, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """Host → digest of the facts that the plan was made from."""

    def of_verdict(self, verdict: HostVerdict) -> tuple[RestorePlan, ...]:
        """Return the hosts in one bucket."""
        return tuple(host for host in self.hosts if host.verdict is verdict)

    @property
    def has_work(self) -> bool:
        """Whether anything would change."""
        return bool(self.of_verdict(HostVerdict.INSTALL))
