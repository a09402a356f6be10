"""All commands and their options; their modules import the cheap things only, the rest when a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.commands import (
    build,
    explain,
    history,
    hosts,
    plan,
    probe,
    provision,
    push,
    recipe,
    recover,
    rollback,
    status,
    store,
    verify,
)
from orchestrator.cli.options import spread

app = typer.Typer(
    name="dsdeploy",
    help="Build one DeepSpeed wheel per kind of host, install it on all hosts of a hostfile, prove every op.\n\n"
    "Example:  dsdeploy provision -H hostfile -r cpu-training",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"dsdeploy {version('dsdeploy')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    pass


for _command in (hosts, probe, plan, build, push, verify, provision, status, rollback, explain, history, recover):
    app.command(_command.NAME)(spread(_command.command))
app.add_typer(store.app)
app.add_typer(recipe.app)
