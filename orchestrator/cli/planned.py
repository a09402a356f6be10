"""Get the plan that a command is to show or carry out: made now, read from a file, or for one wheel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.cli.options import Building, Wanted
from orchestrator.cli.plan_files import read_plan
from orchestrator.cli.user_files import find_recipe_folders
from orchestrator.cli.wiring import Run
from orchestrator.config.ops import load_op_catalogue
from orchestrator.config.recipes import load_recipe
from orchestrator.errors import HostError, PlanError, UsageError
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import fold_failures
from orchestrator.model.plan import WheelVerdict
from orchestrator.model.recipe import BuildStrategy, Recipe, SourceKind
from orchestrator.planning.again import install_again
from orchestrator.planning.deployment import check_plan_still_fits
from orchestrator.planning.folding import fold_hosts
from orchestrator.stages.plan import Planned, PlanTask, plan_deployment


def plan_hosts(run: Run, wanted: Wanted, building: Building) -> Planned:
    """Probe the hosts and plan for them."""
    task = PlanTask(
        hosts=run.hosts,
        recipe=_load_recipe(run, wanted),
        specs=load_op_catalogue(),
        controller=run.controller_facts,
        builder=building.builder,
        python=run.targets.python,
        force=wanted.force,
    )
    with run.progress:
        return plan_deployment(task, fleet=run.fleet, store=run.store, reporter=run.progress)


def plan_without_building(run: Run, wanted: Wanted) -> Planned:
    """Plan with wheels that exist only. Raises PlanError when one does not."""
    planned = plan_hosts(run, replace(wanted, force=False), Building())
    missing = [wheel.signature.label for wheel in planned.plan.wheels if wheel.verdict is WheelVerdict.BUILD]
    if missing:
        raise PlanError(
            f"no wheel is built yet for {', '.join(missing)}",
            hint="dsdeploy build makes it; dsdeploy provision builds and pushes",
        )
    return replace(planned, plan=install_again(planned.plan)) if wanted.force else planned


def plan_saved(run: Run, path: Path) -> Planned:
    """Return a saved plan with the facts of now.

    Raises PlanError when a host changed, HostError when one cannot be asked, UsageError when one of the plan's is not
    among those chosen.
    """
    plan = read_plan(path)
    planned = {row.host for row in plan.hosts}
    hosts = [host for host in run.hosts if host.name in planned]
    absent = planned - {host.name for host in hosts}
    if absent:
        raise UsageError(
            f"{path} plans for {fold_hosts(sorted(absent))}, which the hostfile and the filters do not choose",
            hint="give the --hostfile, -i and -e that the plan was made with",
        )
    outcomes = run.probe(hosts, recipe_python=plan.recipe.python)
    lost = [outcome for outcome in outcomes.failed if outcome.host in plan.facts]
    if lost:
        lines = [f"{fold_hosts(item.hosts)}: {item.failure.message}" for item in fold_failures(lost)]
        raise HostError("\n".join(["hosts of the plan cannot be asked whether they changed:", *lines]))
    check_plan_still_fits(plan, outcomes.values())
    return Planned(plan=plan, outcomes=outcomes)


def plan_wheel_file(run: Run, path: Path, *, force: bool) -> Planned:
    """Take a wheel file into the store and plan to bring it to every host that it fits."""
    from orchestrator.audit.verdicts import judge
    from orchestrator.audit.wheels import read_wheel
    from orchestrator.planning.given_wheel import plan_given_wheel
    from orchestrator.store.wheel_files import read_artifact

    contents = read_wheel(path)
    artifact = run.store.add(path, read_artifact(path).manifest)

    def find_misfits(facts: Facts) -> list[str]:
        return [misfit.evidence for misfit in judge(contents, facts).misfits]

    outcomes = run.probe(run.hosts, recipe_python=None)
    plan = plan_given_wheel(artifact, outcomes, find_misfits=find_misfits, force=force)
    return Planned(plan=plan, outcomes=outcomes)


def _load_recipe(run: Run, wanted: Wanted) -> Recipe:
    """Return the recipe that was asked for, its source pinned."""
    recipe = load_recipe(wanted.recipe, folders=find_recipe_folders())
    strategy = _strategy(wanted.strategy) if wanted.strategy else recipe.strategy
    is_pinned = recipe.source.kind is SourceKind.VERSION  # then there is nobody to ask
    source = recipe.source if is_pinned else run.index.resolve(recipe.source)
    return replace(recipe, source=source, strategy=strategy)


def _strategy(word: str) -> BuildStrategy:
    try:
        return BuildStrategy(word)
    except ValueError:
        known = ", ".join(strategy.value for strategy in BuildStrategy)
        raise UsageError(f"--strategy {word}: no such strategy", hint=f"there are: {known}") from None
