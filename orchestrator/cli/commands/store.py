"""`dsdeploy store …`: the wheels that were built."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, spread
from orchestrator.errors import ExitCode

app = typer.Typer(name="store", help="List, show, verify and remove what was built.", no_args_is_help=True)

Digest = Annotated[str, typer.Argument(help="A wheel's sha256, or its first digits (6 or more).", metavar="SHA256")]


@app.command("list")
@spread
def list_wheels(output: Output) -> Answer:  # noqa: ARG001 - its options are the edge's
    """List the wheels in the store, newest first.

    Example:  dsdeploy store list
    """
    from orchestrator.cli.user_store import open_store
    from orchestrator.report.documents import store_document
    from orchestrator.report.tables.store import store_table

    artifacts = open_store().all()
    return Answer(document=lambda: store_document(artifacts), draw=lambda: store_table(artifacts))


@app.command("show")
@spread
def show_wheel(sha256: Digest, output: Output) -> Answer:  # noqa: ARG001 - its options are the edge's
    """Show one wheel.

    Its signature, every op as it was read from the file, flags and compilers.

    Example:  dsdeploy store show 3fa9c2
    """
    from orchestrator.cli.user_store import open_store
    from orchestrator.errors import StoreError
    from orchestrator.report.documents import store_document
    from orchestrator.report.tables.store import artifact_details

    artifact = open_store().get(sha256)
    if artifact is None:
        raise StoreError(f"the store has no wheel {sha256}", hint="dsdeploy store list")
    return Answer(document=lambda: store_document((artifact,)), draw=lambda: artifact_details(artifact))


@app.command("verify")
@spread
def verify_wheels(output: Output) -> Answer:  # noqa: ARG001 - its options are the edge's
    """Read every byte of the store and tell what is damaged.

    What killed processes left is removed.

    Example:  dsdeploy store verify
    """
    from orchestrator.cli.user_store import open_store
    from orchestrator.report.documents import findings_document
    from orchestrator.report.tables.store import findings_block

    findings = open_store().verify()
    told = [(str(finding.path), finding.problem, finding.hint) for finding in findings]
    return Answer(
        document=lambda: findings_document(told),
        draw=lambda: findings_block(told),
        otherwise=ExitCode.TRANSFER if any(finding.hint for finding in findings) else ExitCode.DONE,
    )


@app.command("remove")
def remove_wheel(sha256: Digest) -> None:
    """Remove one wheel from the store.

    Hosts keep what is installed.

    Example:  dsdeploy store remove 3fa9c2
    """
    from orchestrator.cli.user_store import open_store

    open_store().remove(sha256)
