"""`dsdeploy provision`: the whole job, and nothing when nothing is to be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building, Confirmed, Distribution, Output, Targets, Wanted

NAME = "provision"


def command(
    *,
    targets: Targets,
    wanted: Wanted,
    building: Building,
    distribution: Distribution,
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
    from orchestrator.cli.wiring import open_run

    with open_run(targets, output, distribution) as run:
        planned = plan_saved(run, plan) if plan else plan_hosts(run, wanted, building)
        return deploy(run, planned, building, is_confirmed=yes)
