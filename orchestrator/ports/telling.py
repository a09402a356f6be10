"""What is remembered of a run, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.model.deployment import HostEnd, Stamp
from orchestrator.model.events import Event
from orchestrator.model.history import Decision, DeploymentRecord


class Journal(Protocol):
    """What this controller remembers of its deployments; whatever it is told is on disk when a method returns."""

    def begin(self, record: DeploymentRecord) -> None:
        """Write down a deployment before its first host is changed."""
        ...

    def decide(self, deployment: str, decisions: Mapping[str, Decision]) -> None:
        """Write down, host by host, where a deployment goes; its own decision is COMMIT when any host's is."""
        ...

    def end(self, deployment: str, ends: Mapping[str, HostEnd], ended_at: str) -> None:
        """Write down which distribution hosts have now; unknown deployments and hosts are left out."""
        ...

    def get(self, deployment: str) -> DeploymentRecord | None:
        """Return a deployment by its id, or by a unique beginning of ≥ 4 characters; None when there is none."""
        ...

    def all(self, *, at_most: int | None = None) -> tuple[DeploymentRecord, ...]:
        """Return every deployment, newest first; or the newest ones only."""
        ...

    def learn(self, stamps: Mapping[str, Stamp]) -> None:
        """Add what hosts remember of deployments that this journal does not know."""
        ...


class Reporter(Protocol):
    """Draws events; safe to call from several threads."""

    def emit(self, event: Event) -> None:
        """Take one event; never raises, never blocks for long."""
        ...
