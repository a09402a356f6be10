"""Bring hosts to rest, for `recover`, and for every command that finds a deployment that did not end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.cli.identity import make_identity, utc_now
from orchestrator.cli.wiring import Run
from orchestrator.errors import ExitCode, LockedError, RollbackError
from orchestrator.model.events import Note
from orchestrator.model.outcome import fold_failures
from orchestrator.model.recovery import Recovered
from orchestrator.planning.folding import fold_hosts
from orchestrator.stages.plan import Planned


def plan_at_rest(run: Run, plan: Callable[[], Planned]) -> Planned:
    """Return a plan for hosts on which nothing is pending; where something is, it is ended first, and planned again.

    Raises RollbackError when a host cannot be brought to rest, LockedError when what is pending goes on at this moment.
    """
    planned = plan()
    pending = [host for host, facts in planned.outcomes.values().items() if facts.pending]
    if not pending:
        return planned
    run.progress.emit(Note(text=f"a deployment did not end on {fold_hosts(pending)}: bringing it to rest first"))
    recovered = recover_hosts(run, list(planned.outcomes.values()))
    failures = [item for item in fold_failures(recovered.failures) if set(item.hosts) & set(pending)]
    if failures:
        lines = [f"{fold_hosts(item.hosts)}: {item.failure.message}" for item in failures]
        message = "\n".join(["a deployment did not end, and cannot be ended now:", *lines])
        if {item.failure.exit_code for item in failures} == {ExitCode.TRANSFER}:
            raise LockedError(message, hint=failures[0].failure.hint)
        raise RollbackError(message, hint="dsdeploy recover, when that is mended")
    return plan()


def recover_hosts(run: Run, hosts: Sequence[str]) -> Recovered:
    """End what is pending on hosts, and write down how."""
    from orchestrator.stages.recover import recover, write_down  # not for a run that finds nothing pending

    with run.progress:
        found = recover(hosts, make_identity(), fleet=run.fleet, journal=run.journal, reporter=run.progress)
    write_down(found, run.journal, utc_now())
    return found
