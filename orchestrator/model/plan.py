"""The plan: every host and every signature in exactly one bucket, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.model.ops import OpDecision
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Signature
from orchestrator.model.toolchain import Toolchain
from orchestrator.model.wheels import BuildKey

PLAN_SCHEMA = "dsdeploy.plan/1"


class HostVerdict(str, Enum):
    """What happens to one host."""

    INSTALL = "install"
    KEEP = "keep"
    REJECT = "reject"


class WheelVerdict(str, Enum):
    """Where one signature's wheel comes from."""

    BUILD = "build"
    REUSE = "reuse"
    """The store holds it."""
    FETCH = "fetch"
    """A host of the group holds it, the store does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Where a signature is built."""

    host: str | None
    """A host's name; None: the controller."""
    reason: str
    toolchain: Toolchain | None = None
    """What it compiles with; None only in plans that an older dsdeploy wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelPlan:
    """What happens for one signature."""

    signature: Signature
    build_key: BuildKey
    verdict: WheelVerdict
    reason: str
    hosts: tuple[str, ...]
    """Hosts of the group, in hostfile order."""
    builder: Builder | None = None
    """Set exactly when the verdict is BUILD."""
    sha256: str | None = None
    """Set exactly when the wheel exists already."""
    ops: tuple[OpDecision, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """What happens to one host."""

    host: str
    verdict: HostVerdict
    reason: str
    hint: str | None = None
    build_key: BuildKey | None = None
    """None exactly when rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployPlan:
    """What `plan` prints and `provision` executes: the same value."""

    schema: str = PLAN_SCHEMA
    recipe: Recipe
    hosts: tuple[HostPlan, ...]
    wheels: tuple[WheelPlan, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """Host → digest of the facts that the plan was made from."""

    def of_verdict(self, verdict: HostVerdict) -> tuple[HostPlan, ...]:
        """Return the hosts in one bucket."""
        return tuple(host for host in self.hosts if host.verdict is verdict)

    def wheel_for(self, host: str) -> WheelPlan | None:
        """Return the wheel plan of a host's group; None for a rejected host."""
        return next((wheel for wheel in self.wheels if host in wheel.hosts), None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change: all hosts are kept and nothing is built."""
        return not self.has_work and not self.of_verdict(HostVerdict.REJECT)

    @property
    def has_work(self) -> bool:
        """Whether a host is changed or a wheel is built; rejected hosts are no work."""
        is_built = any(wheel.verdict is WheelVerdict.BUILD for wheel in self.wheels)
        return is_built or bool(self.of_verdict(HostVerdict.INSTALL))
