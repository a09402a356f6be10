"""Reads what the agent's answers say of success and failure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.errors import (
    DsdeployError,
    HostError,
    InstallError,
    LockedError,
    TransferError,
    UsageError,
    VerifyError,
)
from orchestrator.remote.frames import Frame

_ERRORS: Mapping[str, type[DsdeployError]] = {
    "host": HostError,
    "transfer": TransferError,
    "install": InstallError,
    "verify": VerifyError,
    "locked": LockedError,
    "usage": UsageError,
}
"""The agent's error kinds; any other one is a bug of ours."""


def error_in(answer: Frame) -> DsdeployError | None:
    """Return the error that an answer carries instead of a result; None for events and results."""
    error = answer.header.get("error")
    if error is None or "event" in answer.header:
        return None
    kind = _ERRORS.get(error["kind"], DsdeployError)
    return kind(error["message"], hint=error.get("hint"))
