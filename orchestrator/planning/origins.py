"""Decides where a group's wheel comes from: the store, a host, or a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts
from orchestrator.model.ops import Need, OpDecision, OpSpec, OpVerdict
from orchestrator.model.outcome import Failure
from orchestrator.model.plan import Builder, WheelPlan, WheelVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.wheels import Artifact, BuildKey, make_build_key
from orchestrator.planning.builders import AUTO, choose_builder
from orchestrator.planning.drift import find_drift
from orchestrator.planning.fitting import was_built_for
from orchestrator.planning.grouping import Group
from orchestrator.planning.ops import decide_ops, ops_in_wheel

_LIBRARIES = frozenset({Need.LIBAIO, Need.CUFILE, Need.NCCL})
"""What one builder has and another has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """All that a plan depends on."""

    recipe: Recipe
    hosts: tuple[str, ...]
    """Every host that was asked for, in hostfile order."""
    facts: Mapping[str, Facts]
    """Of the hosts that could be probed."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """Of those that could not."""
    controller: Callable[[str], Facts]
    """Its facts, with its interpreter of an ABI tag (`cp312`); asked for only when it may have to build."""
    catalogue: Sequence[OpSpec]
    find: Callable[[BuildKey], Artifact | None]
    """The newest wheel that the store holds for a key."""
    stored: Callable[[], Sequence[Artifact]] = tuple
    """Every wheel of the store, newest first; asked for only when the hosts do not all keep the one of their key."""
    builder_wish: str = AUTO
    """`auto`, `controller`, or a host's name."""
    force: bool = False
    """Build and install again, whatever is there."""


def plan_wheel(group: Group, given: PlanInput) -> WheelPlan:
    """Return what happens for one group; raises PlanError when its wheel must be built and nobody can."""
    key = make_build_key(group.signature, given.recipe)
    if given.force:
        return _build(group, given, key, "forced")
    artifact = _find_in_store(group, given, key)
    if artifact is None:
        return _take_from_hosts(group, given.facts, key) or _build(group, given, key, "the store has no such wheel")
    gained = _ops_gained_by_building(group, given, artifact)
    if gained:
        return _build(group, given, key, f"{', '.join(gained)} can be built now")
    return _reuse(group, given, artifact)


def _find_in_store(group: Group, given: PlanInput, key: BuildKey) -> Artifact | None:
    """Return the wheel that all hosts keep, else that of their key, else one that was built for these and lesser hosts.

    So a run for some of a cluster's hosts leaves in place what a run for all of them brought.
    """
    exact = given.find(key)
    if exact and _is_kept(group, given, exact):
        return exact
    fitting = [
        artifact for artifact in given.stored() if was_built_for(artifact.manifest, group.signature, given.recipe)
    ]
    kept = next((artifact for artifact in fitting if _is_kept(group, given, artifact)), None)
    best = max(fitting, key=lambda artifact: artifact.manifest.signature.cpu_level.rank, default=None)
    return kept or exact or best


def _is_kept(group: Group, given: PlanInput, artifact: Artifact) -> bool:
    key, sha256 = artifact.manifest.build_key, artifact.sha256
    return not any(find_drift(given.facts[host], key, sha256) for host in group.hosts)


def _reuse(group: Group, given: PlanInput, artifact: Artifact) -> WheelPlan:
    built = artifact.manifest.signature
    is_exact = built == group.signature
    return replace(
        _existing(group, artifact.manifest.build_key, artifact.sha256),
        signature=built,
        reason="in the store"
        if is_exact
        else "in the store, built for lesser hosts too; --force builds for these alone",
        ops=ops_in_wheel(artifact.manifest, given.catalogue),
    )


def _existing(group: Group, key: BuildKey, sha256: str) -> WheelPlan:
    return WheelPlan(
        signature=group.signature,
        build_key=key,
        verdict=WheelVerdict.REUSE,
        reason="every host has it already",
        hosts=group.hosts,
        sha256=sha256,
    )


def _build(group: Group, given: PlanInput, key: BuildKey, reason: str) -> WheelPlan:
    builder, ops = _plan_build(group, given)
    return WheelPlan(
        signature=group.signature,
        build_key=key,
        verdict=WheelVerdict.BUILD,
        reason=reason,
        hosts=group.hosts,
        builder=builder,
        ops=ops,
    )


def _plan_build(group: Group, given: PlanInput) -> tuple[Builder, tuple[OpDecision, ...]]:
    recipe = given.recipe
    builder = choose_builder(group, given.facts, recipe, wish=given.builder_wish, controller=given.controller)
    assert builder.toolchain is not None  # only plans of an older dsdeploy lack it
    machine = given.controller(group.signature.python_tag) if builder.host is None else given.facts[builder.host]
    return builder, decide_ops(given.catalogue, recipe, group.signature, machine, builder.toolchain)


def _take_from_hosts(group: Group, facts: Mapping[str, Facts], key: BuildKey) -> WheelPlan | None:
    """Plan without the store: nothing to move when all hosts keep one wheel, else a copy that a host still has."""
    first = facts[group.hosts[0]].stamp
    if first and not any(find_drift(facts[host], key, first.wheel_sha256) for host in group.hosts):
        return _existing(group, key, first.wheel_sha256)
    for host in group.hosts:
        stamp = facts[host].stamp
        if stamp and stamp.build_key == key and stamp.wheel_sha256 in facts[host].cached_wheels:
            fetch = _existing(group, key, stamp.wheel_sha256)
            return replace(fetch, verdict=WheelVerdict.FETCH, reason=f"{host} holds it, the store does not")
    return None


def _ops_gained_by_building(group: Group, given: PlanInput, artifact: Artifact) -> list[str]:
    """Name the ops that the wheel lacks only because its builder lacked a library, and that the next builder has."""
    optional = {spec.name for spec in given.catalogue if not _LIBRARIES.isdisjoint(spec.needs)}
    lacking = {op.name for op in artifact.manifest.ops if not op.is_built} & optional
    if not lacking:
        return []
    try:
        _, ops = _plan_build(group, given)
    except PlanError:  # then the wheel stays as it is
        return []
    return [op.op for op in ops if op.op in lacking and op.verdict is OpVerdict.BUILD]
