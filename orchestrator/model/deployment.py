"""The record of what was put where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

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
    gpus: tuple[str, ...] = ()
    """Each GPU's name, in the driver's order; older stamps say nothing of GPUs."""
    driver: str | None = None
    """Of the GPUs; None without any, or in such an older stamp."""
    torch_file: str | None = None
    """Where that torch says its version: `…/torch/version.py`."""
    replaced: str | None = None
    """DeepSpeed's version that was there before; None when there was none."""
    restores: str | None = None
    """Set by a rollback: id of the deployment that had first left this state."""


class ChangeState(str, Enum):
    """How far a deployment got on one host; each is on disk there before the next step begins."""

    ACTIVATING = "activating"
    """What was there is kept; from now on anything may be half."""
    ACTIVATED = "activated"
    """The new one is whole: every file of its RECORD was read back."""
    VERIFIED = "verified"
    """Every op works: it may be committed."""
    UNDOING = "undoing"
    """What was kept goes back in; may be half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A deployment that a host has begun and not ended: neither committed nor undone."""

    deployment: str
    state: ChangeState
    prefix: str
    author: str
    """user@controller."""
    since: str
    """When it began, on that host's clock: UTC, ISO 8601."""
    before: str | None = None
    """DeepSpeed's version that undoing puts back; None when there was none."""
    after: str | None = None
    """DeepSpeed's version that committing keeps; None when it is taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one deployment replaced, kept on the host byte for byte."""

    id: str
    """Its folder's name in `previous/`."""
    replaced_by: str
    """Id of the deployment that replaced it."""
    version: str | None = None
    """DeepSpeed's full version; None when DeepSpeed was not installed."""
    record_sha256: str | None = None
    stamp: Stamp | None = None
    """The stamp that was valid for it; None when something else than dsdeploy had installed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLedger:
    """What a host has written down about one interpreter."""

    prefix: str
    stamp: Stamp | None = None
    pending: Pending | None = None
    kept: tuple[Kept, ...] = ()
    """Newest first."""
    committed: str | None = None
    """The deployment that was committed last; it may have left no stamp: a rollback may have nothing to stamp."""


class HostEnd(str, Enum):
    """Which distribution a host has when a run ends."""

    NEW = "new"
    """Installed, verified, committed."""
    OLD = "old"
    """As it was before, byte for byte: it was never changed, or it was undone."""
    LEFT = "left"
    """The new one, not committed, because `--on-failure keep` asked for that."""
    UNKNOWN = "unknown"
    """One of the two or something between: it could not be reached again. `dsdeploy recover` ends it."""


class OnFailure(str, Enum):
    """What happens when a host fails."""

    ROLLBACK = "rollback"
    """All hosts go back."""
    DROP_HOST = "drop-host"
    """That host goes back, the others go on, unless more than `max_failures` fail."""
    KEEP = "keep"
    """Nobody goes back: good hosts are committed, failed ones stay as they are, to be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxFailures:
    """How many hosts may fail: a count, or a share of all hosts that a run changes."""

    count: int = 0
    percent: float | None = None
    """Instead of `count`; 0 to 100."""

    def of(self, hosts: int) -> int:
        """Return the count for a run on so many hosts; a share is rounded down."""
        return self.count if self.percent is None else int(hosts * self.percent / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a deployment proceeds, and what it does about failures."""

    on_failure: OnFailure = OnFailure.ROLLBACK
    max_failures: MaxFailures = MaxFailures()
    canary: int = 0
    """So many hosts go all the way through verify before any other is touched; 0: none."""
    batch: int | None = None
    """So many hosts at a time; None: all at once."""
    even_if_busy: bool = False
    """Go on where processes have the installed DeepSpeed's libraries open."""


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
    ends: Mapping[str, HostEnd] = field(default_factory=dict)
    """Which distribution each host of the run has now."""
    failures: tuple[Outcome[object], ...] = ()
    interrupted: bool = False
    """Somebody stopped the run (Ctrl-C, SIGTERM); the hosts were brought to `ends` after that."""

    def hosts_at(self, end: HostEnd) -> tuple[str, ...]:
        """Return the hosts that have one of the distributions."""
        return tuple(host for host, found in self.ends.items() if found is end)

    @property
    def committed(self) -> tuple[str, ...]:
        """Hosts that have the new wheel, verified and stamped."""
        return self.hosts_at(HostEnd.NEW)

    @property
    def exit_code(self) -> ExitCode:
        """9 when a host's state is unknown, 130 when somebody stopped the run, else what the worst failure asks for."""
        if HostEnd.UNKNOWN in self.ends.values():
            return ExitCode.ROLLBACK
        if self.interrupted:
            return ExitCode.INTERRUPTED
        return worst_exit_code(outcome.failure for outcome in self.failures if outcome.failure)
