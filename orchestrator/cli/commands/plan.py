"""`dsdeploy plan`: what provision would do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Building, Output, Targets
from orchestrator.errors import ExitCode

NAME = "plan"


def command(
    targets: Targets,
    building: Building,
    output: Output,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the plan here, for `dsdeploy provision --plan`.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 10 when changes are pending.")] = False,
) -> ExitCode:
    """Print what would be built, copied, installed, kept and rejected, each with its reason. Nothing is changed.

    Example:  dsdeploy plan -H hostfile -r cpu-training --out plan.json
    """
    from orchestrator.cli.flow import make_planned, tell_failures
    from orchestrator.cli.render import show, write_document
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import plan_document
    from orchestrator.report.tables.plan import plan_table
    from orchestrator.stages.provision import rejections

    with open_run(targets, output) as run:
        planned = make_planned(run, targets, building)
    plan = planned.plan
    if out is not None:
        write_document(plan_document(plan), out)
    show(plan_document(plan), lambda: plan_table(plan), output)
    code = tell_failures(rejections(planned))
    if code is ExitCode.DONE and exit_code and not plan.is_empty:
        return ExitCode.PENDING
    return code
