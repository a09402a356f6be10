"""Decides what a rollback does to one host: what it gets back of what it has kept, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model.deployment import Kept, Stamp
from orchestrator.model.facts import Facts
from orchestrator.model.history import RestorePlan
from orchestrator.model.plan import HostVerdict
from orchestrator.planning.eligibility import Obstacle
from orchestrator.planning.past import HostPast


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Hosts that have a deployment get back what it replaced."""

    deployment: str

    @property
    def object(self) -> str:
        """What comes back, in words."""
        return f"what deployment {self.deployment} replaced"

    def is_for(self, past: HostPast) -> bool:
        """Whether it concerns a host: the deployment is the newest there."""
        return past.newest == self.deployment

    def is_reached(self, _past: HostPast) -> bool:
        """Whether a host has what comes back."""
        return False

    def find_kept(self, facts: Facts) -> Kept | None:
        """Return what comes back; None when it is not there."""
        return next((kept for kept in facts.kept if kept.replaced_by == self.deployment), None)

    def find_wheel(self, past: HostPast) -> str | None:
        """Return the sha256 of the wheel that was there, as far as that is known."""
        return past.wheel_before(self.deployment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Hosts get back what they had when a deployment was their newest."""

    deployment: str

    @property
    def object(self) -> str:
        """What comes back, in words."""
        return f"what deployment {self.deployment} left"

    def is_for(self, past: HostPast) -> bool:
        """Whether it concerns a host: the deployment may have changed it."""
        return not past.is_untouched_by(self.deployment)

    def is_reached(self, past: HostPast) -> bool:
        """Whether a host has what comes back."""
        is_restored = past.facts.stamp is not None and _is_state_of(past.facts.stamp, self.deployment)
        return is_restored or self.deployment == max(past.written, default=None)

    def find_kept(self, facts: Facts) -> Kept | None:
        """Return what comes back; None when it is not there."""
        return next((kept for kept in facts.kept if kept.stamp and _is_state_of(kept.stamp, self.deployment)), None)

    def find_wheel(self, past: HostPast) -> str | None:
        """Return the sha256 of the wheel that was there, as far as that is known."""
        return past.wheel_of(self.deployment)


Goal = Undo | Return


def plan_restore(past: HostPast, goal: Goal) -> RestorePlan:
    """Return what happens to one host that could be probed."""
    if obstacle := _find_in_host(past.facts):
        return _reject(past, obstacle)
    if not goal.is_for(past):
        return _row(past, HostVerdict.KEEP, f"deployment {goal.deployment} did not change it")
    if obstacle := _find_replacement(past.facts):
        return _reject(past, obstacle)
    if goal.is_reached(past):
        return _row(past, HostVerdict.KEEP, f"has {goal.object}")
    kept = goal.find_kept(past.facts)
    obstacle = _find_misfit(kept, past.facts) if kept else _make_loss(goal, past)
    return _reject(past, obstacle) if obstacle else _row(past, HostVerdict.INSTALL, f"gets back {goal.object}", kept)


def _is_state_of(stamp: Stamp, deployment: str) -> bool:
    return deployment in (stamp.deployment, stamp.restores)


def _row(past: HostPast, verdict: HostVerdict, reason: str, kept: Kept | None = None) -> RestorePlan:
    now, _ = _installed(past.facts)
    version = kept.version if kept else None
    return RestorePlan(
        host=past.host, verdict=verdict, reason=reason, kept=kept.id if kept else None, version=version, now=now
    )


def _reject(past: HostPast, obstacle: Obstacle) -> RestorePlan:
    now, _ = _installed(past.facts)
    return RestorePlan(host=past.host, verdict=HostVerdict.REJECT, reason=obstacle.reason, hint=obstacle.hint, now=now)


def _installed(facts: Facts) -> tuple[str | None, str | None]:
    """Return the version and the digest of RECORD of the DeepSpeed that is there."""
    deepspeed = facts.interpreter.deepspeed if facts.interpreter else None
    return (deepspeed.version, deepspeed.record_sha256) if deepspeed else (None, None)


def _find_in_host(facts: Facts) -> Obstacle | None:
    if facts.interpreter is None:
        reason = facts.interpreter_error or "no target interpreter was found"
        return Obstacle(reason=reason, hint="name the one that was deployed to with --python")
    if facts.pending is not None:
        pending = facts.pending
        reason = f"deployment {pending.deployment} of {pending.author} has not ended there"
        return Obstacle(reason=reason, hint="dsdeploy recover ends it")
    return None


def _find_replacement(facts: Facts) -> Obstacle | None:
    """Look for a DeepSpeed that somebody else has put in since: what is kept is not what was there before that one."""
    if facts.stamp is None or (facts.stamp.version, facts.stamp.record_sha256) == _installed(facts):
        return None
    return Obstacle(
        reason=f"DeepSpeed was replaced since deployment {facts.stamp.deployment}, and not by dsdeploy",
        hint="dsdeploy provision, or push --wheel FILE, installs what is to be there",
    )


def _find_misfit(kept: Kept, facts: Facts) -> Obstacle | None:
    torch = facts.interpreter.torch if facts.interpreter else None
    if kept.stamp is None or (torch and torch.version == kept.stamp.torch_version):
        return None
    return Obstacle(
        reason=f"DeepSpeed {kept.version} was built for torch {kept.stamp.torch_version}, "
        f"and the host has {f'torch {torch.version}' if torch else 'no torch'}",
        hint="dsdeploy provision builds for the torch that is there",
    )


def _make_loss(goal: Goal, past: HostPast) -> Obstacle:
    reason, wheel = f"{goal.object} is not kept there", goal.find_wheel(past)
    if wheel is None:
        return Obstacle(reason=reason, hint="dsdeploy provision, or push --wheel FILE, installs what is to be there")
    hint = f"it was wheel {wheel[:12]}: dsdeploy store show {wheel[:12]}, then dsdeploy push --wheel FILE"
    return Obstacle(reason=reason, hint=hint)
