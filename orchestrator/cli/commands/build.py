"""`dsdeploy build`: the wheels that the store lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building, Output, Targets, Wanted

NAME = "build"


def command(
    *,
    targets: Targets,
    wanted: Wanted,
    building: Building,
    timings: Annotated[
        bool, typer.Option("--timings", help="Also write a page on what was compiled when, and say where it is.")
    ] = False,
    output: Output,
) -> Answer:
    """Build the wheels that the store lacks.

    One for each kind of host in the hostfile; one that fails does not stop the others. Nothing is installed.

    Example:  dsdeploy build -H hostfile -r training --timings
    """
    from orchestrator.cli.carrying_out import build_wheels
    from orchestrator.cli.planned import plan_hosts
    from orchestrator.cli.timings_file import write_timings
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import build_document
    from orchestrator.report.tables.build import build_summary
    from orchestrator.stages.every_signature import tell_every_signature

    with open_run(targets, output) as run:
        planned = plan_hosts(run, wanted, building)
        results = build_wheels(run, planned, building)
        page = write_timings(run, results) if timings else None
        told = tell_every_signature(planned, results, run.store)
    elapsed_s = run.elapsed_s
    failures = (*planned.rejections, *(result.outcome for result in results if result.failure))
    return Answer(
        document=lambda: build_document(told, failures, elapsed_s=elapsed_s, timings=page),
        draw=lambda: build_summary(told, elapsed_s, page),
        failures=failures,
    )
