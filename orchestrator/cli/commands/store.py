"""`dsdeploy store …`: the wheels that were built."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import Output, spread
from orchestrator.errors import ExitCode

app = typer.Typer(
    name="store", help="The wheels that were built, by content.", no_args_is_help=True, rich_markup_mode=None
)

Digest = Annotated[str, typer.Argument(help="A wheel's sha256, or its first digits (6 or more).", metavar="SHA256")]


@app.command("list")
@spread
def list_wheels(output: Output) -> None:
    """List the wheels in the store, newest first."""
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import open_store
    from orchestrator.report.documents import store_document
    from orchestrator.report.tables.store import store_table

    artifacts = open_store().all()
    show(store_document(artifacts), lambda: store_table(artifacts), output)


@app.command("show")
@spread
def show_wheel(output: Output, sha256: Digest) -> None:
    """Show one wheel: its signature, every op as it was read from the file, flags and compilers.

    Example:  dsdeploy store show 3fa9c2
    """
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import open_store
    from orchestrator.errors import StoreError
    from orchestrator.report.documents import store_document
    from orchestrator.report.tables.store import artifact_details

    artifact = open_store().get(sha256)
    if artifact is None:
        raise StoreError(f"the store has no wheel {sha256}", hint="dsdeploy store list")
    show(store_document((artifact,)), lambda: artifact_details(artifact), output)


@app.command("verify")
@spread
def verify_wheels(output: Output) -> ExitCode:
    """Read every byte of the store and tell what is damaged; what killed processes left is removed."""
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import open_store
    from orchestrator.report.documents import findings_document
    from orchestrator.report.tables.store import findings_block

    findings = open_store().verify()
    told = [(str(finding.path), finding.problem, finding.hint) for finding in findings]
    show(findings_document(told), lambda: findings_block(told), output)
    return ExitCode.TRANSFER if any(finding.hint for finding in findings) else ExitCode.DONE


@app.command("remove")
@spread
def remove_wheel(sha256: Digest) -> None:
    """Remove one wheel from the store; hosts keep what is installed.

    Example:  dsdeploy store remove 3fa9c2
    """
    from orchestrator.cli.user_files import open_store

    open_store().remove(sha256)
