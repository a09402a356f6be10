"""Makes the plan, and tells whether a saved one still fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts
from orchestrator.model.ops import OpVerdict
from orchestrator.model.plan import DeployPlan, HostPlan, HostVerdict, WheelPlan
from orchestrator.planning.drift import find_drift
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.grouping import Group, group
from orchestrator.planning.origins import PlanInput, plan_wheel


def make_plan(given: PlanInput) -> DeployPlan:
    """Return what happens to every host and every wheel, hosts in hostfile order.

    A host that could not be probed, or cannot take a wheel, or whose wheel nobody can build, is a rejected row and not
    an error. Raises PlanError when that leaves no wheel at all.
    """
    facts = {host: given.facts[host] for host in given.hosts if host not in given.failures}
    grouping = group(facts, given.recipe)
    wheels, without_wheel = _plan_wheels(grouping.groups, given)
    rows = {row.host: row for row in (*grouping.rejected, *without_wheel)}
    rows |= {host: _unprobed(host, given) for host in given.hosts if host in given.failures}
    rows |= {host: _plan_host(host, facts[host], wheel) for wheel in wheels for host in wheel.hosts}
    return DeployPlan(
        recipe=given.recipe,
        hosts=tuple(rows[host] for host in given.hosts),
        wheels=wheels,
        facts={host: found.digest() for host, found in facts.items()},
    )


def check_plan_still_fits(plan: DeployPlan, facts: Mapping[str, Facts]) -> None:
    """Raise PlanError when a host is no longer what the plan was made from."""
    changed = [host for host, digest in plan.facts.items() if host not in facts or facts[host].digest() != digest]
    if changed:
        raise PlanError(
            f"{fold_hosts(changed)} changed since the plan was made",
            hint="make a new one: dsdeploy plan --out FILE",
        )


def check_nothing_is_refused(wheels: Iterable[WheelPlan]) -> None:
    """Raise PlanError when a wheel cannot have an op that the recipe requires; all such ops are told at once."""
    refused = dict.fromkeys(
        f"{op.op}: {op.reason}" for wheel in wheels for op in wheel.ops if op.verdict is OpVerdict.REFUSE
    )
    if refused:
        raise PlanError(
            "the recipe requires ops that cannot be built: " + "; ".join(refused),
            hint="give the builder what is missing, choose another with --builder, or take them out of `ops.require`",
        )


def _plan_wheels(groups: Sequence[Group], given: PlanInput) -> tuple[tuple[WheelPlan, ...], tuple[HostPlan, ...]]:
    """Return the wheels, and the rejected rows of the groups whose wheel nobody can build."""
    wheels: list[WheelPlan] = []
    rows: list[HostPlan] = []
    errors: list[PlanError] = []
    for members in groups:
        try:
            wheels.append(plan_wheel(members, given))
        except PlanError as error:
            errors.append(error)
            rows += (_rejected(host, error) for host in members.hosts)
    if errors and not wheels:
        raise _all_in_one(errors)
    return tuple(wheels), tuple(rows)


def _rejected(host: str, error: PlanError) -> HostPlan:
    return HostPlan(host=host, verdict=HostVerdict.REJECT, reason=error.message, hint=error.hint)


def _all_in_one(errors: Sequence[PlanError]) -> PlanError:
    """Return one error that says what all of them say; equal words once."""
    hints = dict.fromkeys(error.hint for error in errors if error.hint)
    return PlanError("\n".join(dict.fromkeys(error.message for error in errors)), hint="\n".join(hints) or None)


def _unprobed(host: str, given: PlanInput) -> HostPlan:
    failure = given.failures[host]
    return HostPlan(host=host, verdict=HostVerdict.REJECT, reason=failure.message, hint=failure.hint)


def _plan_host(host: str, facts: Facts, wheel: WheelPlan) -> HostPlan:
    drift = find_drift(facts, wheel.build_key, wheel.sha256)
    return HostPlan(
        host=host,
        verdict=HostVerdict.INSTALL if drift else HostVerdict.KEEP,
        reason=drift or "has this wheel, untouched",
        build_key=wheel.build_key,
    )
