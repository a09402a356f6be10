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
    NO_KERNEL_IMAGE = "no-kernel-image"
    """The GPU is of an arch for which the op's library has no code."""
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
    """One op, really loaded in a fresh process with JIT made impossible, and run where torch can say what is right."""

    op: str
    gpu: int | None = None
    """On which GPU, as nvidia-smi numbers them (or CUDA_VISIBLE_DEVICES); None where that makes no difference."""
    state: CheckState
    text: str = ""
    """The error, how well the numbers agree, or why it was loaded only."""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BadOp:
    """An op that cannot be used."""

    op: str
    state: CheckState
    text: str
    gpus: tuple[int, ...]
    """Where it ended so; empty where that makes no difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen on the way and may spoil a job, though every op can be used."""

    kind: str
    """A word for programs; the catalogue's where it knows the failure that this leads to: `jit-lock-stale`."""
    text: str
    hint: str | None = None


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
    findings: tuple[Finding, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the report was read and every op can be used."""
        return self.report is not None and all(check.state.is_good for check in self.checks)

    @property
    def gpus(self) -> tuple[int, ...]:
        """The GPUs on which ops were checked."""
        return tuple(sorted({check.gpu for check in self.checks if check.gpu is not None}))

    @property
    def bad_ops(self) -> tuple[BadOp, ...]:
        """The ops that cannot be used, equal ends on several GPUs told once."""
        found: dict[tuple[str, CheckState, str], list[int]] = {}
        for check in self.checks:
            if not check.state.is_good:
                gpus = found.setdefault((check.op, check.state, check.text), [])
                gpus.extend([] if check.gpu is None else [check.gpu])
        return tuple(
            BadOp(op=op, state=state, text=text, gpus=tuple(gpus)) for (op, state, text), gpus in found.items()
        )
