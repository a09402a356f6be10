"""Makes the plan that pushes one given wheel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Failure, Outcomes
from orchestrator.model.plan import DeployPlan, HostPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.wheels import Artifact
from orchestrator.planning.drift import find_drift
from orchestrator.planning.eligibility import Obstacle, find_obstacle


def plan_given_wheel(
    artifact: Artifact, outcomes: Outcomes[Facts], *, find_misfits: Callable[[Facts], Sequence[str]], force: bool
) -> DeployPlan:
    """Return the plan that brings this wheel to every host that it fits; the others are rejected with the reason.

    `find_misfits` says why the wheel would not work on a host; it fits where there is no reason.
    """
    manifest = artifact.manifest
    recipe = Recipe(name=manifest.recipe, source=manifest.source, accelerator=manifest.signature.accelerator)

    def plan_host(host: str, facts: Facts) -> HostPlan:
        obstacle = find_obstacle(facts, recipe) or _obstacle_of(find_misfits(facts))
        if obstacle:
            return HostPlan(host=host, verdict=HostVerdict.REJECT, reason=obstacle.reason, hint=obstacle.hint)
        drift = "forced" if force else find_drift(facts, manifest.build_key, artifact.sha256)
        verdict = HostVerdict.INSTALL if drift else HostVerdict.KEEP
        reason = drift or "has this wheel, untouched"
        return HostPlan(host=host, verdict=verdict, reason=reason, build_key=manifest.build_key)

    facts = outcomes.values()
    rows = {host: plan_host(host, found) for host, found in facts.items()}
    rows |= {item.host: _unprobed(item.host, item.failure) for item in outcomes.failed if item.failure}
    wheel = WheelPlan(
        signature=manifest.signature,
        build_key=manifest.build_key,
        verdict=WheelVerdict.REUSE,
        reason="given with --wheel",
        hosts=tuple(host for host in facts if rows[host].verdict is not HostVerdict.REJECT),
        sha256=artifact.sha256,
    )
    return DeployPlan(
        recipe=recipe,
        hosts=tuple(rows[item.host] for item in outcomes.items),
        wheels=(wheel,),
        facts={host: found.digest() for host, found in facts.items()},
    )


def _obstacle_of(misfits: Sequence[str]) -> Obstacle | None:
    if not misfits:
        return None
    return Obstacle(reason=f"the wheel would not work: {'; '.join(misfits)}", hint="dsdeploy build makes one that does")


def _unprobed(host: str, failure: Failure) -> HostPlan:
    return HostPlan(host=host, verdict=HostVerdict.REJECT, reason=failure.message, hint=failure.hint)
