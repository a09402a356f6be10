"""`dsdeploy provision`: the whole job, and nothing when nothing is to be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building, Confirmed, Distribution, Output, Safety, Targets, Wanted

NAME = "provision"


def command(
    *,
    targets: Targets,
    wanted: Wanted,
    building: Building,
    distribution: Distribution,
    safety: Safety,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Carry out exactly this plan, or refuse because a host changed."),
    ] = None,
    yes: Confirmed = False,
    output: Output,
) -> Answer:
    """Build, push, install and verify, where it is needed.

    Run it before each job: what is in place is left alone, and that takes seconds.

    Example:  dsdeploy provision -H hostfile -r cpu-training --yes
    """
    from orchestrator.cli.deploying import deploy
    from orchestrator.cli.planned import plan_hosts, plan_saved
    from orchestrator.cli.recovering import plan_at_rest
    from orchestrator.cli.safety import make_policy
    from orchestrator.cli.wiring import open_run

    policy = make_policy(safety)
    with open_run(targets, output, distribution) as run:
        planned = plan_at_rest(run, lambda: plan_saved(run, plan) if plan else plan_hosts(run, wanted, building))
        return deploy(run, planned, building, policy, is_confirmed=yes)
