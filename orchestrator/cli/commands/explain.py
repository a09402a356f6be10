"""`dsdeploy explain`: what went wrong in a log, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output

NAME = "explain"


def command(
    *,
    file: Annotated[Path, typer.Argument(metavar="LOG", help="A log of a build, an install or a job; - reads a pipe.")],
    output: Output,  # noqa: ARG001 - its options are the edge's
) -> Answer:
    """Say what went wrong in a log, why, and what to do.

    Reads logs of pip, uv, compilers, DeepSpeed's setup, launchers and jobs as people paste them: coloured, boxed,
    wrapped, with ranks or times before each line, in UTF-16, or packed by gzip. A cause is certain, likely or possible.

    It ends with 0 whenever the log could be read: `verdict` in the document of --json says what was found.

    A dash reads a pipe: python -m pip install . 2>&1 | dsdeploy explain -

    Example:  dsdeploy explain build.log
    """
    from orchestrator.cli.log_files import is_wheel
    from orchestrator.errors import UsageError

    if is_wheel(file):
        raise UsageError(f"{file} is not a log", hint="dsdeploy store show tells what is in a wheel of the store")
    return _explain_log(file)


def _explain_log(path: Path) -> Answer:
    from orchestrator.cli.log_files import opened_log
    from orchestrator.diagnosis.explain_log import explain_log
    from orchestrator.report.explain import log_document
    from orchestrator.report.tables.explain_log import log_explanation

    with opened_log(path) as stream:
        explanation = explain_log(stream)
    return Answer(document=lambda: log_document(explanation), draw=lambda: log_explanation(explanation))
