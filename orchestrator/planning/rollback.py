"""Makes the plan of a rollback: what every host gets back, so that hosts that share an installation agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts
from orchestrator.model.history import DeploymentRecord, RestorePlan, RollbackPlan
from orchestrator.model.outcome import Failure, Outcomes
from orchestrator.model.plan import HostVerdict
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.past import HostPast
from orchestrator.planning.restoring import Return, Undo, plan_restore
from orchestrator.planning.sites import find_shared, remember_together

_SHORTEST_BEGINNING = 4
_MOST_NAMED = 8


def make_rollback(
    outcomes: Outcomes[Facts], records: Sequence[DeploymentRecord], *, to: str | None = None
) -> RollbackPlan:
    """Return what each host gets back: what the newest deployment replaced there, or what deployment `to` left there.

    `to` is an id, or a beginning that no other has; `records` is the controller's journal, newest first, and may be
    empty. A host that cannot get back what it had is a rejected row. Raises PlanError when nothing was deployed, when
    `to` is not known, and when every host is rejected.
    """
    facts = outcomes.values()
    pasts = {
        host: HostPast(host=host, facts=found, records=records) for host, found in remember_together(facts).items()
    }
    newest = max((past.newest for past in pasts.values() if past.newest), default=None)
    if newest is None:
        hosts = fold_hosts(item.host for item in outcomes.items)
        raise PlanError(f"no deployment is known on {hosts}", hint="dsdeploy status shows what is there")
    goal = Undo(deployment=newest) if to is None else Return(deployment=_find_deployment(to, pasts.values()))
    rows = _reject_together({host: plan_restore(past, goal) for host, past in pasts.items()}, facts)
    rows |= {item.host: _unprobed(item.host, item.failure) for item in outcomes.failed if item.failure}
    _check_somebody_is_left(rows.values())
    restored = [pasts[host] for host, row in rows.items() if row.verdict is HostVerdict.INSTALL]
    return RollbackPlan(
        undoes=max((past.newest for past in restored if past.newest), default=newest),
        to=goal.deployment if isinstance(goal, Return) else _find_state(restored, goal),
        hosts=tuple(rows[item.host] for item in outcomes.items),
        facts={host: found.digest() for host, found in facts.items()},
    )


def _find_state(restored: Iterable[HostPast], goal: Undo | Return) -> str | None:
    """Return the deployment whose state comes back, the newest where hosts differ; None when there was none before."""
    found = [kept.stamp.deployment for past in restored if (kept := goal.find_kept(past.facts)) and kept.stamp]
    return max(found, default=None)


def _find_deployment(to: str, pasts: Collection[HostPast]) -> str:
    known = sorted({deployment for past in pasts for deployment in past.deployments}, reverse=True)
    if to in known:
        return to
    found = [deployment for deployment in known if len(to) >= _SHORTEST_BEGINNING and deployment.startswith(to)]
    if len(found) == 1:
        return found[0]
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    fault = "could be any of " + ", ".join(found) if found else "these hosts have had no such deployment"
    raise PlanError(f"--to {to}: {fault}", hint=f"there are: {', '.join(known[:_MOST_NAMED])}{more}")


def _reject_together(rows: Mapping[str, RestorePlan], facts: Mapping[str, Facts]) -> dict[str, RestorePlan]:
    """Return the rows with hosts rejected that share an installation with a rejected one."""
    together = dict(rows)
    for members in find_shared(facts):
        rejected = next((host for host in members if rows[host].verdict is HostVerdict.REJECT), None)
        if rejected is not None:
            reason = f"it shares its installation with {rejected}: {rows[rejected].reason}"
            together |= {
                host: replace(
                    rows[host],
                    verdict=HostVerdict.REJECT,
                    reason=reason,
                    hint=rows[rejected].hint,
                    kept=None,
                    version=None,
                )
                for host in members
                if rows[host].verdict is HostVerdict.INSTALL
            }
    return together


def _unprobed(host: str, failure: Failure) -> RestorePlan:
    return RestorePlan(host=host, verdict=HostVerdict.REJECT, reason=failure.message, hint=failure.hint)


def _check_somebody_is_left(rows: Collection[RestorePlan]) -> None:
    """Raise PlanError, equal reasons told once, when every host is rejected."""
    if any(row.verdict is not HostVerdict.REJECT for row in rows):
        return
    hosts_by_reason: dict[str, list[str]] = {}
    for row in rows:
        hosts_by_reason.setdefault(row.reason, []).append(row.host)
    lines = [f"{fold_hosts(hosts)}: {reason}" for reason, hosts in hosts_by_reason.items()]
    hints = dict.fromkeys(row.hint for row in rows if row.hint)
    raise PlanError("\n".join(["no host can be rolled back:", *lines]), hint="\n".join(hints) or None)
