"""`dsdeploy probe`: what every host is."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import Output, Targets
from orchestrator.errors import ExitCode

NAME = "probe"


def command(
    targets: Targets,
    output: Output,
    recipe: Annotated[str, typer.Option("-r", "--recipe", help="Group the hosts as this recipe would.")] = "training",
) -> ExitCode:
    """Ask every host what it is: system, CPU, GPUs, toolchain, interpreter, torch, DeepSpeed. Nothing is changed.

    Example:  dsdeploy probe -H hostfile -i worker-[0-3]
    """
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.cli.wiring import open_run
    from orchestrator.config.recipes import load_recipe
    from orchestrator.model.outcome import fold_failures
    from orchestrator.planning.grouping import group
    from orchestrator.report.documents import probe_document
    from orchestrator.report.tables.probe import probe_table

    chosen = load_recipe(recipe, folders=find_recipe_folders())
    with open_run(targets, output) as run:
        outcomes = run.probe(targets.python or chosen.python)
    grouping = group(outcomes.values(), chosen)
    failures = fold_failures(outcomes.failed)
    show(
        probe_document(outcomes, grouping),
        lambda: probe_table(outcomes.values(), grouping, failures),
        output,
    )
    return max((item.failure.exit_code for item in failures), default=ExitCode.DONE)
