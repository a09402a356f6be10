"""Tells what a host has had before: from what it has written down itself, and from the controller's journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.model.deployment import HostEnd
from orchestrator.model.facts import Facts
from orchestrator.model.history import DeploymentRecord, HostRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPast:
    """The deployments of one host into its target interpreter. Their ids sort by time."""

    host: str
    facts: Facts
    records: Sequence[DeploymentRecord]
    """The journal's, newest first."""

    @property
    def written(self) -> frozenset[str]:
        """The deployments that the host itself remembers."""
        stamps = [stamp for stamp in (self.facts.stamp, *(kept.stamp for kept in self.facts.kept)) if stamp]
        ids = [*(kept.replaced_by for kept in self.facts.kept), *(stamp.deployment for stamp in stamps)]
        return frozenset([*ids, *(stamp.restores for stamp in stamps if stamp.restores)])

    @property
    def deployments(self) -> frozenset[str]:
        """All that have changed the host and were not undone, as far as the host or the journal knows."""
        return self.written | {record.id for record, row in self._rows() if row.end in (HostEnd.NEW, HostEnd.LEFT)}

    @property
    def newest(self) -> str | None:
        """The deployment that the host has; None when it is not known to have any."""
        return max(self.deployments, default=None)

    def wheel_of(self, deployment: str) -> str | None:
        """Return the sha256 of the wheel that a deployment left here, as far as the journal knows."""
        return next((row.wheel_sha256 for record, row in self._rows() if record.id == deployment), None)

    def wheel_before(self, deployment: str) -> str | None:
        """Return the sha256 of the wheel that a deployment replaced here, as far as the journal knows."""
        older = (row for record, row in self._rows() if record.id < deployment and row.end is HostEnd.NEW)
        return next((row.wheel_sha256 for row in older), None)

    def is_untouched_by(self, deployment: str) -> bool:
        """Whether it is certain that the host never had a deployment."""
        if deployment in self.deployments:
            return False
        if any(record.id == deployment and not record.is_from_stamps for record in self.records):
            return all(row.end is HostEnd.OLD for record, row in self._rows() if record.id == deployment)
        if self.newest is None or self.newest < deployment:
            return True
        return any(kept.stamp and kept.stamp.deployment < deployment < kept.replaced_by for kept in self.facts.kept)

    def _rows(self) -> Iterator[tuple[DeploymentRecord, HostRecord]]:
        """Yield what the journal has of this host's interpreter, newest first."""
        prefix = self.facts.interpreter.prefix if self.facts.interpreter else None
        for record in self.records:
            for row in record.hosts:
                if row.host == self.host and row.prefix in (None, prefix):
                    yield record, row
