"""A journal that remembers while the test runs; it keeps the contract of tests/journal/test_journal_contract.py."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.errors import StoreError
from orchestrator.journal.changes import completed, decided, ended, remembered
from orchestrator.model.deployment import HostEnd, Stamp
from orchestrator.model.history import Decision, DeploymentRecord


class MemoryJournal:
    def __init__(self, *records: DeploymentRecord) -> None:
        self.records = {record.id: record for record in records}

    def begin(self, record: DeploymentRecord) -> None:
        if record.id in self.records:
            raise StoreError(f"the journal has a deployment {record.id} already")
        self.records[record.id] = record

    def decide(self, deployment: str, decisions: Mapping[str, Decision]) -> None:
        if deployment not in self.records:
            raise StoreError(f"the journal has no deployment {deployment}")
        self.records[deployment] = decided(self.records[deployment], decisions)

    def end(self, deployment: str, ends: Mapping[str, HostEnd], ended_at: str) -> None:
        if deployment in self.records:
            self.records[deployment] = ended(self.records[deployment], ends, ended_at)

    def get(self, deployment: str) -> DeploymentRecord | None:
        if deployment in self.records or len(deployment) < 4:
            return self.records.get(deployment)
        found = [record for name, record in self.records.items() if name.startswith(deployment)]
        return found[0] if len(found) == 1 else None

    def all(self, *, at_most: int | None = None) -> tuple[DeploymentRecord, ...]:
        return tuple(self.records[name] for name in sorted(self.records, reverse=True)[:at_most])

    def learn(self, stamps: Mapping[str, Stamp]) -> None:
        for name, told in remembered(stamps).items():
            self.records[name] = completed(self.records.get(name), told)
