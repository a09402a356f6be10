"""`dsdeploy status`: what every host has against what was deployed to it."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets

NAME = "status"


def command(
    *,
    targets: Targets,
    local: Annotated[  # noqa: ARG001 - answered before there are options to parse: see `main`
        bool,
        typer.Option("--local", help="Judge the host that this runs on, in under 0.1 s: `status --local --help`."),
    ] = False,
    max_age: Annotated[  # noqa: ARG001 - as above
        str | None, typer.Option(metavar="AGE", help="With --local: older deployments do not count: 30m, 24h, 7d.")
    ] = None,
    output: Output,
) -> Answer:
    """Compare every host with what was deployed to it.

    Torch changed under it, DeepSpeed replaced or edited, other GPUs or another driver, a deployment that has not ended,
    hosts new in the hostfile or gone from it. Nothing is changed. Without --python a host judges the interpreter that
    was deployed into last. Ends with 10 when any host is not as it was deployed, else with 3 when hosts could not be
    asked, else with 0.

    Example:  dsdeploy status -H hostfile
    """
    from dataclasses import replace

    from orchestrator.cli.user_files import load_hosts
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import status_document
    from orchestrator.report.tables.status import status_table
    from orchestrator.stages.status import ask_conditions, compare_with_journal

    with open_run(targets, output) as run:
        with run.progress:
            outcomes = ask_conditions(run.hosts, python=targets.python, fleet=run.fleet, reporter=run.progress)
        hostfile = [host.name for host in load_hosts(replace(targets, include="", exclude=""))]
        status = compare_with_journal(outcomes, hostfile=hostfile, journal=run.journal)
    return Answer(
        document=lambda: status_document(status),
        draw=lambda: status_table(status),
        otherwise=status.exit_code,  # the table tells the failures
    )
