"""Hosts with a past: deployments, what they have kept of them, and what a rollback makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fakes.hosts import INTERPRETER, make_facts, with_deepspeed

from orchestrator.model.deployment import HostEnd, Kept, Stamp
from orchestrator.model.facts import Disk, Facts
from orchestrator.model.history import DeploymentKind, DeploymentRecord, HostRecord, RestorePlan, RollbackPlan
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.plan import HostVerdict

FRESH = make_facts()
_MOST_KEPT = 3
"""As the agent keeps."""


def make_stamp(deployment: str, version: str = "1.0+a", torch: str = "2.13.0+cpu") -> Stamp:
    return Stamp(
        deployment=deployment,
        prefix=INTERPRETER.prefix,
        build_key="k" * 32,
        wheel_sha256="a" * 64,
        version=version,
        record_sha256=f"record of {version}",
        torch_version=torch,
        committed_at="2026-01-01T00:00:00+00:00",
        committed_by="u@controller",
    )


def make_kept(replaced_by: str, stamp: Stamp | None) -> Kept:
    """What a deployment replaced; without a stamp: nothing."""
    return Kept(
        id=f"before-{replaced_by}",
        replaced_by=replaced_by,
        version=stamp.version if stamp else None,
        record_sha256=stamp.record_sha256 if stamp else None,
        stamp=stamp,
    )


def with_pip(facts: Facts, version: str) -> Facts:
    """The facts after somebody else installed DeepSpeed."""
    return with_deepspeed(facts, version=version, record_sha256=f"record of {version}")


def without_deepspeed(facts: Facts) -> Facts:
    assert facts.interpreter is not None
    return replace(facts, interpreter=replace(facts.interpreter, deepspeed=None))


def deploy(facts: Facts, deployment: str, version: str = "1.0+a") -> Facts:
    """The facts after a deployment was committed."""
    return _commit(facts, deployment, version, make_stamp(deployment, version))


def restore(facts: Facts, row: RestorePlan, deployment: str) -> Facts:
    """The facts after a rollback did to a host what its row says."""
    if row.verdict is not HostVerdict.INSTALL:
        return facts
    kept = next(kept for kept in facts.kept if kept.id == row.kept)
    before = kept.stamp
    stamp = before and replace(before, deployment=deployment, restores=before.restores or before.deployment)
    return _commit(facts, deployment, kept.version, stamp)


def execute(plan: RollbackPlan, facts: Mapping[str, Facts], deployment: str) -> dict[str, Facts]:
    return {row.host: restore(facts[row.host], row, deployment) for row in plan.hosts}


def installed(facts: Facts) -> str | None:
    """DeepSpeed's version."""
    assert facts.interpreter is not None
    return facts.interpreter.deepspeed.version if facts.interpreter.deepspeed else None


def outcomes(facts: Mapping[str, Facts | Failure]) -> Outcomes[Facts]:
    """What a probe brought."""
    return Outcomes(
        items=tuple(
            Outcome(host=host, failure=found) if isinstance(found, Failure) else Outcome(host=host, value=found)
            for host, found in facts.items()
        )
    )


def make_record(deployment: str, ends: Mapping[str, HostEnd | None], *, wheel: str = "b" * 64) -> DeploymentRecord:
    """A deployment as the journal has it."""
    return DeploymentRecord(
        id=deployment,
        kind=DeploymentKind.INSTALL,
        started_at="2026-01-01T00:00:00+00:00",
        author="u@controller",
        hosts=tuple(
            HostRecord(host=host, end=end, wheel_sha256=wheel, prefix=INTERPRETER.prefix) for host, end in ends.items()
        ),
    )


def on_disk(filesystem_id: str | None, *, facts: Facts = FRESH, prefix: str = INTERPRETER.prefix) -> Facts:
    """The facts of a host whose site-packages lie on that file system."""
    assert facts.interpreter is not None
    place = Disk(role="site-packages", path=f"{prefix}/lib", free_bytes=10**9, filesystem_id=filesystem_id)
    return replace(facts, disks=(*facts.disks, place), interpreter=replace(facts.interpreter, prefix=prefix))


def _commit(facts: Facts, deployment: str, version: str | None, stamp: Stamp | None) -> Facts:
    assert facts.interpreter is not None
    before = facts.interpreter.deepspeed
    kept = Kept(
        id=f"before-{deployment}",
        replaced_by=deployment,
        version=before.version if before else None,
        record_sha256=before.record_sha256 if before else None,
        stamp=facts.stamp,
    )
    after = with_pip(facts, version) if version else without_deepspeed(facts)
    return replace(after, stamp=stamp, kept=(kept, *facts.kept)[:_MOST_KEPT])
