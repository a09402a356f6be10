"""The steps of a change on every host: stage; then, behind a barrier, activate, verify, commit, or leave as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.deployment import DeploymentIdentity
from orchestrator.model.events import Stage
from orchestrator.model.outcome import Outcomes
from orchestrator.model.verification import Verification
from orchestrator.ports import Fleet, Remote, Reporter
from orchestrator.stages.answers import read_answer
from orchestrator.stages.on_hosts import on_hosts
from orchestrator.stages.orders import InstallOrder
from orchestrator.stages.verify import verify_order

_STAGE_TIMEOUT_S = 120.0
_ACTIVATE_TIMEOUT_S = 900.0
_COMMIT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """What a host has, read back file by file; both are None where DeepSpeed is gone."""

    version: str | None
    record_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """One deployment's words to its hosts."""

    identity: DeploymentIdentity
    orders: Mapping[str, InstallOrder]
    even_if_busy: bool
    fleet: Fleet
    reporter: Reporter

    def stage(self, hosts: Sequence[str]) -> Outcomes[None]:
        """Check that the installation will go through: digests, space, pip's dry run, who uses it. Changes nothing."""

        def task(remote: Remote) -> None:
            parameters = {**self._parameters(remote), "even_if_busy": self.even_if_busy}
            remote.request("stage", parameters, timeout_s=_STAGE_TIMEOUT_S)

        return on_hosts(Stage.STAGE, hosts, task, fleet=self.fleet, reporter=self.reporter)

    def activate(self, hosts: Sequence[str]) -> Outcomes[Activated]:
        """Keep what each host has, and put in what it is to have."""

        def task(remote: Remote) -> Activated:
            answer = remote.request("activate", self._parameters(remote), timeout_s=_ACTIVATE_TIMEOUT_S)
            return read_answer(Activated, answer, remote)

        return on_hosts(Stage.ACTIVATE, hosts, task, fleet=self.fleet, reporter=self.reporter)

    def verify(self, hosts: Sequence[str]) -> Outcomes[Verification | None]:
        """Load every op; hosts whose ops are good write down that they may be committed. None: nothing to verify."""

        def task(remote: Remote) -> Verification | None:
            order = self.orders[remote.host].find_verification(remote)
            found = verify_order(remote, order, self.reporter) if order else None
            if found is None or found.is_good:
                self._tell(remote, "verified")
            return found

        return on_hosts(Stage.VERIFY, hosts, task, fleet=self.fleet, reporter=self.reporter)

    def commit(self, hosts: Sequence[str]) -> Outcomes[None]:
        """Leave the stamp: from now on it counts as deployed."""
        return on_hosts(
            Stage.COMMIT,
            hosts,
            lambda remote: self._tell(remote, "commit"),
            fleet=self.fleet,
            reporter=self.reporter,
        )

    def leave(self, hosts: Sequence[str]) -> Outcomes[None]:
        """Let hosts as they are, neither committed nor undone."""
        return self.fleet.each(hosts, lambda remote: self._tell(remote, "leave"))

    def _parameters(self, remote: Remote) -> dict[str, object]:
        return self.orders[remote.host].parameters(self.identity)

    def _tell(self, remote: Remote, operation: str) -> None:
        words = {"prefix": self.orders[remote.host].prefix, "deployment": self.identity.id}
        remote.request(operation, words, timeout_s=_COMMIT_TIMEOUT_S)
