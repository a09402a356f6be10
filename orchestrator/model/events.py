"""What workers say while they work; one reporter draws it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.model.fanout import FanOutReport, Topology
from orchestrator.model.outcome import Outcome


class Stage(str, Enum):
    """The steps of a run, in order."""

    PROBE = "probe"
    LOCK = "lock"
    BUILD = "build"
    FAN_OUT = "fan out"
    STAGE = "stage"
    ACTIVATE = "activate"
    VERIFY = "verify"
    COMMIT = "commit"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage begins on `total` hosts (or, for BUILD, signatures)."""

    stage: Stage
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """A stage ended; failures were told by HostFinished."""

    stage: Stage
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProgress:
    """A host works: what on, and how far in bytes when that is known."""

    stage: Stage
    host: str
    text: str = ""
    done_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFinished:
    """A host ended a stage."""

    stage: Stage
    host: str
    is_ok: bool
    text: str = ""
    elapsed_s: float = 0.0

    @classmethod
    def of(cls, stage: Stage, outcome: Outcome[object]) -> HostFinished:
        """Return what is to be said of a host's outcome."""
        text = outcome.failure.message if outcome.failure else ""
        return cls(stage=stage, host=outcome.host, is_ok=outcome.is_ok, text=text, elapsed_s=outcome.elapsed_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyPlanned:
    """Files are about to go this way."""

    topology: Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutReported:
    """What the fan-out that is about to end took."""

    report: FanOutReport


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStep:
    """A build works at something that is no op: `environment`, `source`, `wheel`."""

    wheel: str
    """The signature's label."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpStarted:
    """One op begins to compile."""

    wheel: str
    op: str
    total: int
    """How many ops this wheel compiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpFinished:
    """One op was compiled, or failed to."""

    wheel: str
    op: str
    is_ok: bool
    elapsed_s: float
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpReused:
    """One op is not compiled: an earlier build had left its library."""

    wheel: str
    op: str
    total: int
    """How many ops this wheel compiles or reuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesCompiled:
    """How far the compilers of one wheel are."""

    wheel: str
    done: int
    total: int
    left_s: float | None
    """Estimated, from remembered times; None when nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person should know; `hint` says what to do about it."""

    text: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line for `--debug` only."""

    source: str
    text: str


Event = (
    StageStarted
    | StageFinished
    | HostProgress
    | HostFinished
    | TopologyPlanned
    | FanOutReported
    | BuildStep
    | OpStarted
    | OpFinished
    | OpReused
    | SourcesCompiled
    | Note
    | LogLine
)
