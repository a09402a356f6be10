"""Probe the hosts and make the plan from what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.model.facts import Facts
from orchestrator.model.hosts import Host
from orchestrator.model.ops import OpSpec
from orchestrator.model.outcome import Outcomes
from orchestrator.model.plan import DeployPlan
from orchestrator.model.recipe import Recipe
from orchestrator.planning.deployment import make_plan
from orchestrator.planning.origins import PlanInput
from orchestrator.ports import Fleet, Reporter, Store
from orchestrator.stages.probe import probe


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTask:
    """What a plan is wanted for."""

    hosts: Sequence[Host]
    recipe: Recipe
    specs: Sequence[OpSpec]
    controller: Callable[[], Facts]
    """Probes the controller at first use: only a build has to ask."""
    builder: str
    python: str | None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the facts that it was made from."""

    plan: DeployPlan
    outcomes: Outcomes[Facts]


def plan_deployment(task: PlanTask, *, fleet: Fleet, store: Store, reporter: Reporter) -> Planned:
    """Return what would happen; nothing is changed. Raises PlanError when no plan is possible."""
    outcomes = probe(task.hosts, python=task.python or task.recipe.python, fleet=fleet, reporter=reporter)
    plan = make_plan(
        PlanInput(
            recipe=task.recipe,
            hosts=tuple(host.name for host in task.hosts),
            facts=outcomes.values(),
            failures={item.host: item.failure for item in outcomes.failed if item.failure},
            controller=task.controller,
            catalogue=task.specs,
            find=store.find,
            builder_wish=task.builder,
            force=task.force,
        )
    )
    return Planned(plan=plan, outcomes=outcomes)
