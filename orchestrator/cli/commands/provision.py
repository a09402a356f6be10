"""`dsdeploy provision`: the whole job, and nothing when nothing is to be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Building, Output, Targets
from orchestrator.errors import ExitCode

NAME = "provision"


def command(
    targets: Targets,
    building: Building,
    output: Output,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Carry out exactly this plan, or refuse because a host changed.")
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before hosts are changed.")] = False,
) -> ExitCode:
    """Build, push, install and verify on every host; run it before each job: what is in place is left alone.

    Example:  dsdeploy provision -H hostfile -r cpu-training --yes
    """
    from orchestrator.cli.flow import deploy_plan, load_planned, make_planned
    from orchestrator.cli.wiring import open_run

    with open_run(targets, output) as run:
        planned = load_planned(plan, run, targets) if plan else make_planned(run, targets, building)
        return deploy_plan(run, planned, building, output, is_confirmed=yes)
