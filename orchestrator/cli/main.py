"""The command `dsdeploy`; each command's module is imported with the cheap things only, the rest when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.cli.commands import build, hosts, plan, probe, provision, push, recipe, store, verify
from orchestrator.cli.errors import run_at_the_edge
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


for _command in (hosts, probe, plan, build, push, verify, provision):
    app.command(_command.NAME)(spread(_command.command))
app.add_typer(store.app)
app.add_typer(recipe.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run_at_the_edge(lambda given: app(list(given), prog_name="dsdeploy", standalone_mode=False), words))
