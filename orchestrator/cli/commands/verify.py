"""`dsdeploy verify`: prove every op on every host."""

from __future__ import annotations

from orchestrator.cli.options import Output, Targets
from orchestrator.errors import ExitCode

NAME = "verify"


def command(targets: Targets, output: Output) -> ExitCode:
    """Load every op of the installed DeepSpeed on every host, compilers out of reach, and read its own report.

    Example:  dsdeploy verify -H hostfile
    """
    from orchestrator.cli.flow import tell_failures
    from orchestrator.cli.render import show
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import verify_document
    from orchestrator.report.tables.matrix import matrix_table
    from orchestrator.stages.verify import failed_verifications, verify_installed

    with open_run(targets, output) as run, run.progress:
        outcomes = verify_installed(run.hosts, python=targets.python, fleet=run.fleet, reporter=run.progress)
    verifications = outcomes.values()
    show(verify_document(verifications, outcomes.failed), lambda: matrix_table(verifications), output)
    return tell_failures((*outcomes.failed, *failed_verifications(verifications)))
