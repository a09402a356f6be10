"""Print an answer or an error: as one JSON document, or as people read it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from rich.console import Console

from orchestrator.cli.answer import Answer
from orchestrator.errors import DsdeployError
from orchestrator.model.outcome import fold_failures
from orchestrator.report.console import ErrorConsole
from orchestrator.report.documents import error_document
from orchestrator.report.tables.failures import error_block, failures_block


class _OutputConsole(Console):
    """A console on standard output that says when nobody reads it any more; rich's own ends the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Print the answer on standard output, and what failed on standard error."""
    if as_json:
        document = answer.document()
        _write(lambda: print(json.dumps(document, indent=2)))
    else:
        drawn = answer.draw()
        _write(lambda: _OutputConsole().print(drawn))
    if answer.failures:
        ErrorConsole().print(failures_block(fold_failures(answer.failures)), soft_wrap=True)


def print_error(error: DsdeployError, *, as_json: bool) -> None:
    """Print what ended the run on standard error, and as the document when one is wanted."""
    ErrorConsole().print(error_block(error), soft_wrap=True)
    if as_json:
        _write(lambda: print(json.dumps(error_document(error), indent=2)))


def _write(write: Callable[[], object]) -> None:
    """Write to standard output; a reader that went away (`| head`) does not change how the run ends."""
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python's last flush goes too
