"""The record of what was put where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.errors import ExitCode
from orchestrator.model.fanout import FanOutReport
from orchestrator.model.outcome import Delivery, Outcome, worst_exit_code
from orchestrator.model.verification import Verification
from orchestrator.model.wheels import Artifact, BuildKey

STAMP_SCHEMA = "dsdeploy.stamp/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a host remembers of the last committed deployment into one interpreter."""

    schema: str = STAMP_SCHEMA
    deployment: str
    """Id of the deployment: sortable time plus random part."""
    prefix: str
    """`sys.prefix` of the interpreter that it went into."""
    build_key: str
    wheel_sha256: str
    version: str
    """DeepSpeed's full version, with the local part."""
    record_sha256: str
    """Digest of the installed RECORD: tells whether something replaced it since."""
    torch_version: str
    committed_at: str
    """UTC, ISO 8601."""
    committed_by: str
    """user@controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentIdentity:
    """Who deploys, and when it began."""

    id: str
    """Sortable: UTC time, then a random part."""
    started_at: str
    """UTC, ISO 8601."""
    author: str
    """user@controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentResult:
    """What a run of provision or push did, host by host."""

    deployment: str
    built: Mapping[BuildKey, Artifact] = field(default_factory=dict)
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    fan_out: FanOutReport | None = None
    """None when it did not come to that."""
    verifications: Mapping[str, Verification] = field(default_factory=dict)
    committed: tuple[str, ...] = ()
    """Hosts that have the new wheel, verified and stamped."""
    changed: tuple[str, ...] = ()
    """Hosts where the new wheel went in but was not committed: they need a look."""
    failures: tuple[Outcome[object], ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that the worst failure asks for."""
        return worst_exit_code(outcome.failure for outcome in self.failures if outcome.failure)
