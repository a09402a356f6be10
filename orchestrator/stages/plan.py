"""Probe the hosts and make the plan from what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.errors import ExitCode
from orchestrator.model.facts import Facts
from orchestrator.model.hosts import Host
from orchestrator.model.ops import OpSpec
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.plan import DeployPlan, HostPlan, HostVerdict
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
    controller: Callable[[str], Facts]
    """Probes the controller at first use: only a build has to ask."""
    builder: str
    python: str | None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the facts that it was made from."""

    plan: DeployPlan
    outcomes: Outcomes[Facts]

    @property
    def rejections(self) -> tuple[Outcome[object], ...]:
        """The rejected hosts as failures: those that could not be probed, then those that cannot take a wheel."""
        unprobed = {outcome.host for outcome in self.outcomes.failed}
        unfit = [row for row in self.plan.of_verdict(HostVerdict.REJECT) if row.host not in unprobed]
        return (*self.outcomes.failed, *(_rejection(row) for row in unfit))


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
            stored=store.all,
            builder_wish=task.builder,
            force=task.force,
        )
    )
    return Planned(plan=plan, outcomes=outcomes)


def _rejection(row: HostPlan) -> Outcome[object]:
    failure = Failure(message=f"{row.host}: {row.reason}", hint=row.hint, exit_code=ExitCode.PLAN)
    return Outcome(host=row.host, failure=failure)
