"""Add to failures what is known of their cause, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from orchestrator.diagnosis.explain_log import Cause, diagnose
from orchestrator.errors import ExitCode
from orchestrator.model.outcome import Failure, Outcome

_EXPLAINED = {ExitCode.INSTALL, ExitCode.VERIFY}
"""What other programs said: pip, the loader, torch. All else is told in our own words already."""


def explain_failures(
    outcomes: Iterable[Outcome[object]], find_cause: Callable[[str], Cause | None] = diagnose
) -> Iterator[Outcome[object]]:
    """Yield the outcomes; those whose words are a known failure's say why it happens, and how to mend it."""
    causes: dict[str, Cause | None] = {}
    for outcome in outcomes:
        failure = outcome.failure
        if failure is None or failure.exit_code not in _EXPLAINED:
            yield outcome
            continue
        if failure.message not in causes:
            causes[failure.message] = find_cause(failure.message)
        yield replace(outcome, failure=_explained(failure, causes[failure.message]))


def _explained(failure: Failure, cause: Cause | None) -> Failure:
    if cause is None:
        return failure
    ways_out = "\n".join(filter(None, (failure.hint, cause.fix, cause.command)))
    return replace(failure, message=f"{failure.message}\n{cause.cause}", hint=ways_out)
