"""The JSON documents of `dsdeploy explain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.diagnosis.evidence import LogLine
from orchestrator.diagnosis.explain_log import Cause, Explanation


def log_document(explanation: Explanation) -> dict[str, Any]:
    """Return `dsdeploy.explain/1` of a log.

    `verdict` is failure, unknown or no-failure. `causes` are best first: what went wrong first, then what may follow
    from it. `confidence` is certain (nothing else says this), likely, or possible (nothing speaks against it). The last
    line of `fix` may be a command. `lines` count the file's lines from 1. `first_error` holds the first error's lines
    where the verdict is unknown.
    """
    return {
        "schema": "dsdeploy.explain/1",
        "kind": "log",
        "verdict": explanation.verdict.value,
        "causes": [_cause(cause) for cause in explanation.causes],
        "first_error": _lines(explanation.first_error),
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "id": cause.id,
        "confidence": cause.confidence.value,
        "cause": cause.cause,
        "fix": "\n".join(text for text in (cause.fix, cause.command) if text),
        "link": cause.link,
        "values": dict(cause.values),
        "lines": _lines(cause.lines),
    }


def _lines(lines: Sequence[LogLine]) -> list[dict[str, Any]]:
    return [{"number": line.number, "text": line.text} for line in lines]
