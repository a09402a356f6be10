"""How hosts stand against what was deployed to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.errors import ExitCode
from orchestrator.model.deployment import HostLedger
from orchestrator.model.facts import InstalledDeepSpeed
from orchestrator.model.outcome import Outcome, worst_exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a host says for `status`: little, and cheap to find out."""

    python: str
    """The interpreter's own path."""
    ledger: HostLedger
    deepspeed: InstalledDeepSpeed | None = None
    torch_version: str | None = None
    """Full version; None when torch is not installed."""
    gpus: tuple[str, ...] = ()
    """Each GPU's name, in the driver's order."""
    driver: str | None = None
    edited_files: tuple[str, ...] = ()
    """Files of the stamped DeepSpeed that are not what its RECORD says, relative to site-packages; at most 20."""
    edited_count: int = 0
    """How many there are; 20 may stand for more where only a probe was made."""
    notes: tuple[str, ...] = ()
    """What went wrong when GPUs were looked for."""


class DriftKind(str, Enum):
    """What differs from the deployment."""

    DEEPSPEED = "deepspeed"
    """It was replaced, or removed."""
    FILES = "files"
    """It was edited."""
    TORCH = "torch"
    GPUS = "gpus"
    DRIVER = "driver"
    DEPLOYMENT = "deployment"
    """The host has another deployment than the newest one, or does not know of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One thing that differs, with its evidence."""

    kind: DriftKind
    text: str
    """For people: `torch was 2.13.0+cpu at deployment D and is 2.12.1+cpu`."""


class HostState(str, Enum):
    """How one host stands."""

    SAME = "same"
    DRIFTED = "drifted"
    PENDING = "pending"
    """A deployment has not ended there: it goes on at this moment, or was cut off."""
    NEW = "new"
    """In the hostfile; nothing was deployed there, other than to its neighbours."""
    GONE = "gone"
    """Of the last deployment; not in the hostfile any more."""
    NEVER = "never-deployed"
    """Nothing was deployed to any host."""
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host and its state."""

    host: str
    state: HostState
    text: str
    """For people: what it has, what is pending, or why it could not be asked."""
    drifts: tuple[Drift, ...] = ()
    """Not empty exactly when it has drifted."""
    deployment: str | None = None
    """Id of the deployment that it remembers."""
    version: str | None = None
    """Of the DeepSpeed that is there."""
    committed_at: str | None = None
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """All hosts of a hostfile, and those that are not in it any more."""

    deployment: str | None
    """Id of the last deployment; None when there was none."""
    hosts: tuple[HostStatus, ...]
    """In hostfile order, those that are gone last."""
    failures: tuple[Outcome[object], ...] = ()
    """Why hosts could not be asked."""

    def of_state(self, state: HostState) -> tuple[HostStatus, ...]:
        """Return the hosts in one state."""
        return tuple(host for host in self.hosts if host.state is state)

    @property
    def exit_code(self) -> ExitCode:
        """10 when any host is not as it was deployed, else what the worst failure asks for."""
        if any(host.state not in (HostState.SAME, HostState.UNKNOWN) for host in self.hosts):
            return ExitCode.PENDING
        return worst_exit_code(outcome.failure for outcome in self.failures if outcome.failure)
