"""Says of a failed step which source file failed first, with what, why, and what to do."""

from __future__ import annotations

import itertools
import re
import signal
from pathlib import Path

from orchestrator.diagnosis.compiler_errors import first_error, plain_lines
from orchestrator.diagnosis.explain_log import explain_log
from orchestrator.errors import BuildError

_COMPILING = re.compile(r" -c (?P<source>\S+\.(?:c|cc|cpp|cu))\b")
_LAST_WORD = re.compile(r"^(?:ERROR: |(?:\w+\.)*\w*(?:Error|Exception)(?:: |$))")
"""How pip's and Python's own failures look."""


def build_failure(step: str, returncode: int, log: Path, *, host: str) -> BuildError:
    """Return the error of a step whose log is complete."""
    with log.open("rb") as stream:
        diagnosis = next(iter(explain_log(stream).causes), None)
    reason, cause = _reason(returncode, log), f"\n  {diagnosis.cause}" if diagnosis else ""
    commands = [diagnosis.fix, diagnosis.command] if diagnosis else []
    return BuildError(
        f"{step} failed on {host}: {reason}{cause}\n  log: {log}",
        hint="\n  ".join(text for text in commands if text) or None,
    )


def _reason(returncode: int, log: Path) -> str:
    """Return the first error of a compiler with its source file, else the last word of what ran."""
    lines = list(plain_lines(log.read_text(encoding="utf-8", errors="replace").splitlines()))
    error = first_error(lines)
    if error is None:
        return _last_word(returncode, lines)
    where = f"{error.file}:{error.line}: " if error.file and error.line else ""
    source = error.source or _last_source(lines[: error.log_line])
    return f"{where}{error.text}" + (f" (compiling {source})" if source and source != error.file else "")


def _last_source(lines: list[str]) -> str | None:
    """Return the source file of the last compiler that was started."""
    matches = (_COMPILING.search(line) for line in reversed(lines))
    return next((match["source"] for match in matches if match), None)


def _last_word(returncode: int, lines: list[str]) -> str:
    if returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    said = [line.strip() for line in reversed(lines) if line.strip()]
    return next(itertools.chain(filter(_LAST_WORD.match, said), said), f"ended with {returncode}")
