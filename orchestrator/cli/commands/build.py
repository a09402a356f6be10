"""`dsdeploy build`: the wheels that the store lacks."""

from __future__ import annotations

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Building, Output, Targets, Wanted

NAME = "build"


def command(targets: Targets, wanted: Wanted, building: Building, output: Output) -> Answer:
    """Build the wheels that the store lacks.

    One for each kind of host in the hostfile. Nothing is installed.

    Example:  dsdeploy build -H hostfile -r cpu-training --builder worker-0
    """
    from orchestrator.cli.carrying_out import build_wheels
    from orchestrator.cli.planned import plan_hosts
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import store_document
    from orchestrator.report.tables.store import store_table
    from orchestrator.stages.build import failed_wheels

    with open_run(targets, output) as run:
        planned = plan_hosts(run, wanted, building)
        outcomes = build_wheels(run, planned, building)
    artifacts = tuple(outcomes.values().values())
    return Answer(
        document=lambda: store_document(artifacts),
        draw=lambda: store_table(artifacts),
        failures=(*planned.rejections, *failed_wheels(outcomes, planned.plan)),
    )
