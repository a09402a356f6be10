"""What the options say about how hosts are changed and what happens when one fails."""

from __future__ import annotations

import re

from orchestrator.cli.options import Safety
from orchestrator.config.suggestion import did_you_mean
from orchestrator.errors import UsageError
from orchestrator.model.deployment import MaxFailures, OnFailure, Policy

_AMOUNT = re.compile(r"([0-9]{1,9})|([0-9]{1,9}(?:\.[0-9]{1,9})?)%")
_WORDS = [policy.value for policy in OnFailure]

_Faults = list[tuple[str, str]]
"""What is wrong with the options so far, each with the way out."""


def make_policy(safety: Safety) -> Policy:
    """Return how the deployment proceeds. Raises UsageError with everything that makes no sense."""
    faults: _Faults = []
    on_failure = _parse_on_failure(safety.on_failure, faults)
    max_failures = _parse_max_failures(safety.max_failures, on_failure, faults)
    if safety.canary < 0:
        faults.append((f"--canary {safety.canary}: no number of hosts", "say 1 or more, or leave it out"))
    if safety.batch is not None and safety.batch < 1:
        faults.append((f"--batch {safety.batch}: no host would ever be changed", "say 1 or more, or leave it out"))
    if on_failure is None or faults:
        messages, hints = zip(*faults, strict=True)
        raise UsageError("\n".join(messages), hint="; ".join(dict.fromkeys(hints)))
    return Policy(
        on_failure=on_failure,
        max_failures=max_failures,
        canary=safety.canary,
        batch=safety.batch,
        even_if_busy=safety.even_if_busy,
    )


def _parse_on_failure(word: str, faults: _Faults) -> OnFailure | None:
    if word in _WORDS:
        return OnFailure(word)
    hint = f"there are: {', '.join(_WORDS)}"
    faults.append((f"--on-failure {word}: no such policy{did_you_mean(word, _WORDS)}", hint))
    return None


def _parse_max_failures(text: str | None, on_failure: OnFailure | None, faults: _Faults) -> MaxFailures:
    if text is None:
        if on_failure is OnFailure.DROP_HOST:
            hint = "say how many: --max-failures 1, or 10%"
            faults.append(("--on-failure drop-host: how many hosts may fail?", hint))
        return MaxFailures()
    if on_failure in (OnFailure.ROLLBACK, OnFailure.KEEP):
        message = f"--max-failures {text}: with --on-failure {on_failure.value} no host is dropped"
        faults.append((message, "it goes with --on-failure drop-host"))
    count, percent = match.groups() if (match := _AMOUNT.fullmatch(text)) else (None, None)
    if count is not None:
        return MaxFailures(count=int(count))
    if percent is None or float(percent) > 100:
        faults.append((f"--max-failures {text}: no number of hosts, no share from 0% to 100%", "say 1, or 10%"))
        return MaxFailures()
    return MaxFailures(percent=float(percent))
