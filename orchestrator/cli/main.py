"""The command `dsdeploy`, from its words to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_tell_local_status(words[1:]) if words[:1] == ["status"] and "--local" in words else _run(words))


def _tell_local_status(words: Sequence[str]) -> int:
    """Judge this host: nothing is imported for it that takes time, not even the library that parses options."""
    from orchestrator.agent.local_status import main as tell_local_status

    return tell_local_status(words)


def _run(words: Sequence[str]) -> int:
    from orchestrator.cli.application import app
    from orchestrator.cli.errors import run_at_the_edge

    return run_at_the_edge(lambda given: app(list(given), prog_name="dsdeploy", standalone_mode=False), words)
