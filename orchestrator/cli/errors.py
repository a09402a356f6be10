"""The one place where an error becomes text and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence

import typer
from typer.exceptions import TyperException

from orchestrator.errors import DsdeployError, ExitCode

_BUG = "this is a bug in dsdeploy"
_BUG_HINT = "please report it, with the lines above and what `dsdeploy --version` says"


def run_at_the_edge(command: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> ExitCode:
    """Run the command line and return its exit code; only our own bugs show a traceback."""
    wants_json = "--json" in arguments
    try:
        code = command(arguments)
    except DsdeployError as error:
        return _tell(error.message, error.hint, error.exit_code, wants_json=wants_json)
    except TyperException as error:
        return _tell(_usage_text(error), _usage_hint(error), ExitCode.USAGE, wants_json=wants_json)
    except (KeyboardInterrupt, typer.Abort) as stop:
        message = str(stop.__cause__ or "interrupted")
        return _tell(message, None, ExitCode.INTERRUPTED, wants_json=wants_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader is gone; keep the exit quiet
        return ExitCode.DONE
    except Exception:  # noqa: BLE001 - the last edge: a bug must end readable too
        traceback.print_exc()
        return _tell(_BUG, _BUG_HINT, ExitCode.BUG, wants_json=wants_json)
    return ExitCode(code) if isinstance(code, int) else ExitCode.DONE


def _tell(message: str, hint: str | None, code: ExitCode, *, wants_json: bool) -> ExitCode:
    for number, line in enumerate(message.splitlines()):
        print("error:" if number == 0 else "      ", line, file=sys.stderr)
    if hint:
        print("  hint:", hint, file=sys.stderr)
    if wants_json:
        error = {"kind": code.name.lower(), "message": message, "hint": hint, "exit_code": int(code)}
        print(json.dumps({"schema": "dsdeploy.error/1", "error": error}))
    return code


def _usage_text(error: TyperException) -> str:
    return error.format_message()


def _usage_hint(error: TyperException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context else None
