"""`dsdeploy build`: the wheels that the store lacks."""

from __future__ import annotations

from orchestrator.cli.options import Building, Output, Targets
from orchestrator.errors import ExitCode

NAME = "build"


def command(targets: Targets, building: Building, output: Output) -> ExitCode:
    """Build one wheel for each kind of host in the hostfile, if the store lacks it. Nothing is installed.

    Example:  dsdeploy build --hostfile hostfile -r cpu-training --builder worker-0
    """
    from orchestrator.cli.flow import make_planned, make_task, tell_failures
    from orchestrator.cli.render import show
    from orchestrator.cli.wiring import open_run
    from orchestrator.planning.deployment import check_nothing_is_refused
    from orchestrator.report.documents import store_document
    from orchestrator.report.tables.store import store_table
    from orchestrator.stages.build import have_wheels
    from orchestrator.stages.provision import rejections

    with open_run(targets, output) as run:
        planned = make_planned(run, targets, building)
        check_nothing_is_refused(planned.plan)
        task = make_task(run, planned, building)
        with run.progress:
            outcomes = have_wheels(task, run.build_ports)
    artifacts = tuple(outcomes.values().values())
    show(store_document(artifacts), lambda: store_table(artifacts), output)
    return tell_failures((*rejections(planned), *outcomes.failed))
