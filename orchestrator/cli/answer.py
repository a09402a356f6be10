"""What a command answers: to a program, to a person, and to whoever branches on the exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import ExitCode
from orchestrator.model.outcome import Outcome, worst_exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Returned by every command that has something to say, printed once, when all connections are closed."""

    document: Callable[[], Mapping[str, Any]]
    """Makes what `--json` prints."""
    draw: Callable[[], object]
    """Makes what people see: anything that rich can print."""
    failures: Sequence[Outcome[object]] = ()
    """Told on standard error, equal ones once."""
    otherwise: ExitCode = ExitCode.DONE
    """The exit code when nothing failed."""
    decided: ExitCode | None = None
    """The exit code where it is not for the failures to say."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that was decided, or that the worst failure asks for."""
        if self.decided is not None:
            return self.decided
        return worst_exit_code(outcome.failure for outcome in self.failures if outcome.failure) or self.otherwise
