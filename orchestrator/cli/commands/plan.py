"""`dsdeploy plan`: what provision would do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building, Output, Targets, Wanted
from orchestrator.errors import ExitCode

NAME = "plan"


def command(
    *,
    targets: Targets,
    wanted: Wanted,
    building: Building,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Also write the plan here, for `dsdeploy provision --plan`."),
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 10 when there is something to do.")] = False,
    output: Output,
) -> Answer:
    """Print what provision would do, and why.

    What would be built, copied, installed, kept and rejected, each with its reason. Nothing is changed.

    Example:  dsdeploy plan -H hostfile -r cpu-training --out plan.json
    """
    from orchestrator.cli.plan_files import write_plan
    from orchestrator.cli.planned import plan_hosts
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import plan_document
    from orchestrator.report.tables.plan import plan_table

    with open_run(targets, output) as run:
        planned = plan_hosts(run, wanted, building)
    plan = planned.plan
    if out is not None:
        write_plan(plan, out)
    return Answer(
        document=lambda: plan_document(plan),
        draw=lambda: plan_table(plan),
        failures=planned.rejections,
        otherwise=ExitCode.PENDING if exit_code and plan.has_work else ExitCode.DONE,
    )
