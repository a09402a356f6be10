"""`dsdeploy probe`: what every host is."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets
from orchestrator.errors import ExitCode

NAME = "probe"


def command(
    *,
    targets: Targets,
    recipe: Annotated[
        str, typer.Option("-r", "--recipe", metavar="RECIPE", help="Group the hosts as this recipe would.")
    ] = "training",
    output: Output,
) -> Answer:
    """Ask every host what it is, and group equal ones.

    System, CPU, GPUs, toolchain, interpreter, torch and DeepSpeed; and what makes groups differ. Nothing is changed.

    Example:  dsdeploy probe -H hostfile -i worker-0@worker-1
    """
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.cli.wiring import open_run
    from orchestrator.config.recipes import load_recipe
    from orchestrator.model.outcome import fold_failures
    from orchestrator.planning.grouping import group
    from orchestrator.report.documents import probe_document
    from orchestrator.report.tables.probe import probe_table

    chosen = load_recipe(recipe, folders=find_recipe_folders())
    with open_run(targets, output) as run:
        outcomes = run.probe(run.hosts, recipe_python=chosen.python)
    grouping = group(outcomes.values(), chosen)
    failures = fold_failures(outcomes.failed)
    return Answer(
        document=lambda: probe_document(outcomes, grouping),
        draw=lambda: probe_table(outcomes.values(), grouping, failures),
        otherwise=max((item.failure.exit_code for item in failures), default=ExitCode.DONE),  # the table tells them
    )
