"""Stage on every host, then, behind a barrier, activate, verify and commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.model.codec import to_document
from orchestrator.model.deployment import DeploymentIdentity, Stamp
from orchestrator.model.events import Stage
from orchestrator.model.outcome import Outcomes
from orchestrator.model.wheels import Artifact
from orchestrator.ports import Fleet, Parcel, Remote, Reporter
from orchestrator.stages.answers import read_answer
from orchestrator.stages.bundle import Bundle
from orchestrator.stages.on_hosts import on_hosts

_STAGE_TIMEOUT_S = 120.0
_ACTIVATE_TIMEOUT_S = 600.0
_COMMIT_TIMEOUT_S = 60.0
_UNPACKED_RATIO = 5
"""A wheel needs about this many times its size on disk while it is unpacked beside what it replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOrder:
    """What goes into which interpreter of one host."""

    python: str
    prefix: str
    """`sys.prefix` of that interpreter: what the stamp is kept under."""
    artifact: Artifact
    bundle: Bundle

    def parameters(self) -> dict[str, Any]:
        """Return the agent's parameters for `stage` and `activate`."""
        return {
            "python": self.python,
            "version": self.artifact.manifest.deepspeed_version,
            "pip": {"path": self.bundle.pip.path},
            "wheel": _file(self.bundle.wheel),
            "dependencies": [_file(parcel) for parcel in self.bundle.dependencies],
            "need_bytes": self.bundle.size_bytes * _UNPACKED_RATIO,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """What the agent says after pip put the wheel in."""

    version: str
    record_sha256: str


def stage(orders: Mapping[str, InstallOrder], *, fleet: Fleet, reporter: Reporter) -> Outcomes[None]:
    """Check on every host that the installation will go through: digests, space, pip's dry run. Changes nothing."""

    def task(remote: Remote) -> None:
        remote.request("stage", orders[remote.host].parameters(), timeout_s=_STAGE_TIMEOUT_S)

    return on_hosts(Stage.STAGE, list(orders), task, fleet=fleet, reporter=reporter)


def activate(orders: Mapping[str, InstallOrder], *, fleet: Fleet, reporter: Reporter) -> Outcomes[Activated]:
    """Put the staged wheel into each host's interpreter."""

    def task(remote: Remote) -> Activated:
        answer = remote.request("activate", orders[remote.host].parameters(), timeout_s=_ACTIVATE_TIMEOUT_S)
        return read_answer(Activated, answer, remote)

    return on_hosts(Stage.ACTIVATE, list(orders), task, fleet=fleet, reporter=reporter)


def commit(
    orders: Mapping[str, InstallOrder],
    activated: Mapping[str, Activated],
    identity: DeploymentIdentity,
    *,
    fleet: Fleet,
    reporter: Reporter,
) -> Outcomes[None]:
    """Write the stamp on every host in `activated`: from now on it counts as deployed."""

    def task(remote: Remote) -> None:
        stamp = _stamp(orders[remote.host], activated[remote.host], identity)
        remote.request("commit", {"stamp": to_document(stamp)}, timeout_s=_COMMIT_TIMEOUT_S)

    return on_hosts(Stage.COMMIT, list(activated), task, fleet=fleet, reporter=reporter)


def _stamp(order: InstallOrder, activated: Activated, identity: DeploymentIdentity) -> Stamp:
    return Stamp(
        deployment=identity.id,
        prefix=order.prefix,
        build_key=order.artifact.manifest.build_key,
        wheel_sha256=order.artifact.sha256,
        version=activated.version,
        record_sha256=activated.record_sha256,
        torch_version=order.artifact.manifest.signature.torch_version,
        committed_at=identity.started_at,
        committed_by=identity.author,
    )


def _file(parcel: Parcel) -> dict[str, Any]:
    return {"path": parcel.path, "sha256": parcel.sha256, "size": parcel.size_bytes}
