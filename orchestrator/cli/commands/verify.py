"""`dsdeploy verify`: prove every op on every host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets

NAME = "verify"


def command(
    *,
    targets: Targets,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Also write JUnit's XML here: a suite per host, a case per op."),
    ] = None,
    output: Output,
) -> Answer:
    """Load and run every op on every host.

    On each of its GPUs, against torch, with compilers out of reach, so that only what is installed counts; and read
    DeepSpeed's own report.

    Example:  dsdeploy verify -H hostfile --junit verify.xml
    """
    from orchestrator.cli.junit_file import write_junit
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import verify_document
    from orchestrator.report.tables.matrix import matrix_table
    from orchestrator.stages.verify import failed_verifications, verify_installed

    with open_run(targets, output) as run, run.progress:
        outcomes = verify_installed(run.hosts, python=targets.python, fleet=run.fleet, reporter=run.progress)
    verifications = outcomes.values()
    if junit is not None:
        write_junit(junit, verifications, outcomes.failed)
    return Answer(
        document=lambda: verify_document(verifications, outcomes.failed),
        draw=lambda: matrix_table(verifications),
        failures=(*outcomes.failed, *failed_verifications(verifications)),
    )
