"""`dsdeploy explain`: what is in a wheel and where it works, or what went wrong in a log and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets

NAME = "explain"


def command(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A wheel; or a log of a build, an install or a job; - reads a pipe.")
    ],
    targets: Targets,
    output: Output,
) -> Answer:
    """Say what is in a wheel, or what went wrong in a log.

    Of a wheel with torch extensions, whoever built it: ops, GPU code, and what it needs of a host; with --hostfile,
    whether each host can use it. It ends with 4 when one cannot.

    Of a log: the cause and what to do. Reads logs of pip, uv, compilers, DeepSpeed's setup, launchers and jobs as
    people paste them: coloured, boxed, wrapped, with ranks or times before each line, in UTF-16, or packed by gzip. A
    cause is certain, likely or possible. It ends with 0 whenever the log could be read: `verdict` in the document of
    --json says what was found.

    A dash reads a pipe: python -m pip install . 2>&1 | dsdeploy explain -

    Example:  dsdeploy explain build.log
    """
    return _explain_wheel(file, targets, output) if file.suffix == ".whl" else _explain_log(file)


def _explain_wheel(path: Path, targets: Targets, output: Output) -> Answer:
    from orchestrator.cli.explaining_wheels import explain_wheel, explain_wheel_on_hosts

    return explain_wheel_on_hosts(path, targets, output) if targets.hostfile else explain_wheel(path)


def _explain_log(path: Path) -> Answer:
    from orchestrator.cli.log_files import opened_log
    from orchestrator.diagnosis.explain_log import explain_log
    from orchestrator.report.explain import log_document
    from orchestrator.report.tables.explain_log import log_explanation

    with opened_log(path) as stream:
        explanation = explain_log(stream)
    return Answer(document=lambda: log_document(explanation), draw=lambda: log_explanation(explanation))
