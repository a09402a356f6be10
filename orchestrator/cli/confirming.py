"""Show what is about to happen and ask; without a terminal nothing is assumed."""

from __future__ import annotations

import sys

from rich.console import RenderableType

from orchestrator.errors import UsageError
from orchestrator.report.console import ErrorConsole


def confirm(plan: RenderableType, in_a_line: str, *, again: str) -> None:
    """Return when the answer is yes. Raises UsageError otherwise; `again` says how the plan can be seen again."""
    if not sys.stdin.isatty():
        raise UsageError(f"this would change hosts: {in_a_line}", hint="say --yes to go on without a question")
    console = ErrorConsole()
    console.print(plan)
    try:
        word = console.input("Go on? [y/N] ")
    except (EOFError, OSError):  # nobody is there any more
        word = ""
    if word.strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed", hint=again)
