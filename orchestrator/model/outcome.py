"""What became of one host: a value or a failure, never an exception."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.errors import DsdeployError, ExitCode

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a host failed: what was said, what to do, and the exit code that it asks for."""

    message: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.BUG

    @classmethod
    def of(cls, error: DsdeployError) -> Failure:
        """Return an expected error as a value."""
        return cls(message=error.message, hint=error.hint, exit_code=error.exit_code)


@dataclass(frozen=True, kw_only=True)  # no slots: typing sets `__orig_class__` on `Outcome[int](…)`
class Outcome(Generic[T_co]):
    """One host's result: exactly one of `value` and `failure` is set."""

    host: str
    value: T_co | None = None
    failure: Failure | None = None
    elapsed_s: float = 0.0

    @property
    def is_ok(self) -> bool:
        """Whether the host did what was asked."""
        return self.failure is None


@dataclass(frozen=True, kw_only=True)
class Outcomes(Generic[T_co]):
    """All hosts' results, in hostfile order."""

    items: tuple[Outcome[T_co], ...]

    @property
    def failed(self) -> tuple[Outcome[T_co], ...]:
        """The outcomes that are failures."""
        return tuple(item for item in self.items if not item.is_ok)

    def values(self) -> dict[str, T_co]:
        """Return host → value of those that succeeded."""
        return {item.host: item.value for item in self.items if item.value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What it took until one host held all its files, each with its digest checked there."""

    sent_bytes: int
    """Bytes that it received, from wherever."""
    kept_bytes: int
    """Bytes that were there already and were not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedFailure:
    """Equal failures told once, with their hosts."""

    failure: Failure
    hosts: tuple[str, ...]


def fold_failures(outcomes: Iterable[Outcome[object]]) -> tuple[FoldedFailure, ...]:
    """Group failed outcomes whose message and hint are equal once the host's own name is taken out."""
    groups: dict[tuple[str, str | None, ExitCode], list[str]] = {}
    for outcome in outcomes:
        if outcome.failure is not None:
            message = _without_name(outcome.failure.message, outcome.host)
            hint = outcome.failure.hint and _without_name(outcome.failure.hint, outcome.host)
            groups.setdefault((message, hint, outcome.failure.exit_code), []).append(outcome.host)
    return tuple(_folded(message, hint, code, hosts) for (message, hint, code), hosts in groups.items())


def _without_name(text: str, host: str) -> str:
    return re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "{host}", text)


def _folded(message: str, hint: str | None, code: ExitCode, hosts: list[str]) -> FoldedFailure:
    name = hosts[0] if len(hosts) == 1 else "the host"
    failure = Failure(
        message=message.replace("{host}", name),
        hint=hint and hint.replace("{host}", hosts[0] if len(hosts) == 1 else "HOST"),
        exit_code=code,
    )
    return FoldedFailure(failure=failure, hosts=tuple(hosts))


def worst_exit_code(failures: Iterable[Failure]) -> ExitCode:
    """Return the exit code for a run with these failures: the highest one; DONE without any."""
    return max((failure.exit_code for failure in failures), default=ExitCode.DONE)
