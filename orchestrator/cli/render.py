"""Print an answer: as one JSON document, or as people read it."""

from __future__ import annotations

from rich.console import Console

from orchestrator.cli.answer import Answer
from orchestrator.cli.standard_output import write, write_document
from orchestrator.model.outcome import fold_failures
from orchestrator.report.console import ErrorConsole
from orchestrator.report.tables.failures import failures_block


class _OutputConsole(Console):
    """A console on standard output that says when nobody reads it any more; rich's own ends the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Print the answer on standard output, and what failed on standard error; the document last of all."""
    if as_json:
        _tell_failures(answer)
        write_document(answer.document())
    else:
        drawn = answer.draw()
        write(lambda: _OutputConsole().print(drawn))
        _tell_failures(answer)


def _tell_failures(answer: Answer) -> None:
    if answer.failures:
        ErrorConsole().print(failures_block(fold_failures(answer.failures)), soft_wrap=True)
