"""`dsdeploy history`: what was deployed from here."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output

NAME = "history"


def command(
    *,
    deployment: Annotated[
        str | None,
        typer.Argument(metavar="DEPLOYMENT", help="Only this one, host by host: its id, or how it begins."),
    ] = None,
    newest: Annotated[int, typer.Option("-n", "--newest", min=1, metavar="N", help="So many, the newest first.")] = 20,
    output: Output,  # noqa: ARG001 - its options are the edge's
) -> Answer:
    """List what was deployed from this machine.

    No host is asked. What others deployed to the same hosts is known here once `dsdeploy status` has asked them.

    Example:  dsdeploy history 20260131T120000Z-3fa9c2
    """
    from orchestrator.cli.user_journal import open_journal
    from orchestrator.config.suggestion import did_you_mean, listed
    from orchestrator.errors import UsageError
    from orchestrator.report.documents import history_document
    from orchestrator.report.tables.history import deployment_details, history_table

    journal = open_journal()
    if deployment is None:
        found = journal.all(at_most=newest + 1)
        shown, has_older = found[:newest], len(found) > newest
        return Answer(
            document=lambda: history_document(shown, has_older=has_older),
            draw=lambda: history_table(shown, has_older=has_older),
        )
    record = journal.get(deployment)
    if record is None:
        known = [each.id for each in journal.all()]
        several = [each for each in known if each.startswith(deployment)]
        what = f"is how {listed(several)} begin" if several else f"is no deployment{did_you_mean(deployment, known)}"
        raise UsageError(f"{deployment} {what}", hint="dsdeploy history lists them")
    return Answer(document=lambda: history_document((record,)), draw=lambda: deployment_details(record))
