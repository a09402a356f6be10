"""The one place where an error becomes text and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

import typer
from typer.exceptions import TyperException

from orchestrator.cli.answer import Answer
from orchestrator.cli.signals import stopped_by_signals
from orchestrator.cli.standard_error import lasting_standard_error
from orchestrator.errors import DsdeployError, ExitCode, StoppedError, UsageError
from orchestrator.report.wording import clean


def run_at_the_edge(command: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> ExitCode:
    """Run the command line, print its answer, and return its exit code; only our own bugs show a traceback.

    With `--json` among the words there is one document on standard output, whatever happens. SIGTERM and SIGHUP stop
    the command as Ctrl-C does; nothing stops it because its terminal died, when SIGHUP is ignored.
    """
    with lasting_standard_error(), stopped_by_signals():
        return _run(command, arguments, as_json="--json" in arguments)  # the words may not even parse


def _run(command: Callable[[Sequence[str]], object], arguments: Sequence[str], *, as_json: bool) -> ExitCode:
    try:
        return _finish(command(arguments), as_json=as_json)
    except DsdeployError as error:
        return _tell(error, as_json=as_json)
    except TyperException as error:
        return _tell_usage(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _tell(StoppedError("interrupted"), as_json=as_json)
    except Exception:  # noqa: BLE001 - the last edge: a bug must end readable too
        traceback.print_exc()
        bug = DsdeployError(
            "this is a bug in dsdeploy",
            hint="please report it, with the lines above and what `dsdeploy --version` says",
        )
        return _tell(bug, as_json=as_json)


def _finish(answer: object, *, as_json: bool) -> ExitCode:
    if isinstance(answer, Answer):
        from orchestrator.cli.render import print_answer

        print_answer(answer, as_json=as_json)
        return answer.exit_code
    if answer == ExitCode.INTERRUPTED:  # what typer makes of Ctrl-C
        raise KeyboardInterrupt
    return ExitCode.DONE


def _tell(error: DsdeployError, *, as_json: bool) -> ExitCode:
    for number, line in enumerate(clean(error.message).splitlines()):
        print("error:" if number == 0 else "      ", line, file=sys.stderr)
    if error.hint:
        print("  hint:", clean(error.hint), file=sys.stderr)
    if as_json:
        from orchestrator.cli.standard_output import write_document
        from orchestrator.report.documents import error_document

        write_document(error_document(error))
    return error.exit_code


def _tell_usage(error: TyperException, *, as_json: bool) -> ExitCode:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context and message == context.get_help():  # what typer raises when no command is named
        print(message, file=sys.stderr)
        return ExitCode.USAGE
    command = context.command_path if context else "dsdeploy"
    return _tell(UsageError(message, hint=f"{command} --help"), as_json=as_json)
