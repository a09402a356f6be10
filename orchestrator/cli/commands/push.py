"""`dsdeploy push`: install what the store holds, or one wheel file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building, Confirmed, Distribution, Output, Safety, Targets, Wanted

NAME = "push"


def command(
    *,
    targets: Targets,
    wanted: Wanted,
    distribution: Distribution,
    safety: Safety,
    wheel: Annotated[
        Path | None,
        typer.Option("--wheel", metavar="FILE", help="This file, built by dsdeploy, to every host that it fits."),
    ] = None,
    yes: Confirmed = False,
    output: Output,
) -> Answer:
    """Install and verify wheels that are built already.

    They come from the store, or as a file. Nothing is compiled.

    Example:  dsdeploy push -H hostfile -r cpu-training --yes
    """
    from orchestrator.cli.deploying import deploy
    from orchestrator.cli.planned import plan_wheel_file, plan_without_building
    from orchestrator.cli.recovering import plan_at_rest
    from orchestrator.cli.safety import make_policy
    from orchestrator.cli.wiring import open_run

    policy = make_policy(safety)
    with open_run(targets, output, distribution) as run:
        planned = plan_at_rest(
            run,
            lambda: plan_wheel_file(run, wheel, force=wanted.force) if wheel else plan_without_building(run, wanted),
        )
        return deploy(run, planned, Building(), policy, is_confirmed=yes)
