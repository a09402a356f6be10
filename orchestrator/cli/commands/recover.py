"""`dsdeploy recover`: end whatever a deployment left half done."""

from __future__ import annotations

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets
from orchestrator.errors import ExitCode
from orchestrator.model.recovery import Recovered

NAME = "recover"


def command(targets: Targets, output: Output) -> Answer:
    """Bring hosts to rest after a run that did not end.

    A host that has begun and not ended one gets back what it had, or, when that was decided already, keeps the new one.
    Nothing is asked and nothing is installed; where nothing is pending nothing is changed. The next provision does the
    same by itself. Exit code 9: a host could not be reached, or not be brought to rest; 6: somebody deploys to it now.

    Example:  dsdeploy recover -H hostfile
    """
    from orchestrator.cli.recovering import recover_hosts
    from orchestrator.cli.wiring import open_run
    from orchestrator.report.documents import recover_document
    from orchestrator.report.tables.recover import recover_table

    with open_run(targets, output) as run:
        recovered = recover_hosts(run, [host.name for host in run.hosts])
    return Answer(
        document=lambda: recover_document(recovered),
        draw=lambda: recover_table(recovered),
        failures=recovered.failures,
        decided=_exit_code(recovered),
    )


def _exit_code(recovered: Recovered) -> ExitCode:
    codes = {outcome.failure.exit_code for outcome in recovered.failures if outcome.failure}
    return (ExitCode.TRANSFER if codes == {ExitCode.TRANSFER} else ExitCode.ROLLBACK) if codes else ExitCode.DONE
