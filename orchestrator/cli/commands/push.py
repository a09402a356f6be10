"""`dsdeploy push`: install what the store holds, or one wheel file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Building, Output, Targets
from orchestrator.errors import ExitCode

NAME = "push"


def command(
    targets: Targets,
    building: Building,
    output: Output,
    wheel: Annotated[
        Path | None, typer.Option("--wheel", help="Push this file, built by dsdeploy, to every host that it fits.")
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before hosts are changed.")] = False,
) -> ExitCode:
    """Fan out, install and verify wheels that are built already; nothing is compiled.

    Example:  dsdeploy push -H hostfile -r cpu-training --yes
    """
    from orchestrator.cli.flow import deploy_plan, make_planned, plan_wheel_file, refuse_builds
    from orchestrator.cli.wiring import open_run

    with open_run(targets, output) as run:
        if wheel is not None:
            planned = plan_wheel_file(wheel, run, targets, building)
        else:
            planned = make_planned(run, targets, building)
            refuse_builds(planned.plan)
        return deploy_plan(run, planned, building, output, is_confirmed=yes)
