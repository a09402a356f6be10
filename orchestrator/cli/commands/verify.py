"""`dsdeploy verify`: prove every op on every host."""

from __future__ import annotations

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets

NAME = "verify"


def command(targets: Targets, output: Output) -> Answer:
    """Load and run every op on every host.

    With compilers out of reach, so that only what is installed counts; and read DeepSpeed's own report.

    Example:  dsdeploy verify -H hostfile
    """
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import verify_document
    from orchestrator.report.tables.matrix import matrix_table
    from orchestrator.stages.verify import failed_verifications, verify_installed

    with open_run(targets, output) as run, run.progress:
        outcomes = verify_installed(run.hosts, python=targets.python, fleet=run.fleet, reporter=run.progress)
    verifications = outcomes.values()
    return Answer(
        document=lambda: verify_document(verifications, outcomes.failed),
        draw=lambda: matrix_table(verifications),
        failures=(*outcomes.failed, *failed_verifications(verifications)),
    )
