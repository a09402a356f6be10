"""Makes the plan that pushes one given wheel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Failure
from orchestrator.model.plan import DeployPlan, HostPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.wheels import Artifact
from orchestrator.planning.drift import find_drift
from orchestrator.planning.eligibility import find_obstacle


def plan_given_wheel(
    artifact: Artifact,
    hosts: Sequence[str],
    facts: Mapping[str, Facts],
    failures: Mapping[str, Failure],
    *,
    force: bool,
) -> DeployPlan:
    """Return the plan that brings this wheel to every host; whether it fits each is the audit's question."""
    manifest = artifact.manifest
    recipe = Recipe(name=manifest.recipe, source=manifest.source, accelerator=manifest.signature.accelerator)

    def plan_host(host: str) -> HostPlan:
        if host in failures:
            failure = failures[host]
            return HostPlan(host=host, verdict=HostVerdict.REJECT, reason=failure.message, hint=failure.hint)
        obstacle = find_obstacle(facts[host], recipe)
        if obstacle:
            return HostPlan(host=host, verdict=HostVerdict.REJECT, reason=obstacle.reason, hint=obstacle.hint)
        drift = "forced" if force else find_drift(facts[host], manifest.build_key, artifact.sha256)
        verdict = HostVerdict.INSTALL if drift else HostVerdict.KEEP
        reason = drift or "has this wheel, untouched"
        return HostPlan(host=host, verdict=verdict, reason=reason, build_key=manifest.build_key)

    rows = tuple(plan_host(host) for host in hosts)
    wheel = WheelPlan(
        signature=manifest.signature,
        build_key=manifest.build_key,
        verdict=WheelVerdict.REUSE,
        reason="given with --wheel",
        hosts=tuple(row.host for row in rows if row.verdict is not HostVerdict.REJECT),
        sha256=artifact.sha256,
    )
    digests = {host: found.digest() for host, found in facts.items()}
    return DeployPlan(recipe=recipe, hosts=rows, wheels=(wheel,), facts=digests)
