"""Puts hosts that can share a wheel into groups, by one visible key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from packaging.version import Version

from orchestrator.model.facts import Facts
from orchestrator.model.plan import HostPlan, HostVerdict
from orchestrator.model.recipe import ArchPolicy, CpuPolicy, Recipe
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.planning.cpu import lowest_level
from orchestrator.planning.eligibility import accelerator_of, archs_of, find_obstacle


class Key(NamedTuple):
    """What must be equal for two hosts to share a wheel; floors are not part of it."""

    accelerator: Accelerator
    gpu_archs: tuple[str, ...]
    """Empty when the recipe's policy is one wheel for all archs."""
    torch_version: str
    torch_cuda: str | None
    torch_hip: str | None
    cxx11_abi: bool
    python_tag: str
    machine: str
    cpu_level: CpuLevel | None
    """None unless the recipe's policy is one wheel per level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Hosts that share one wheel."""

    key: Key
    signature: Signature
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Every host in exactly one group, or rejected with its reason."""

    groups: tuple[Group, ...]
    rejected: tuple[HostPlan, ...]


def group(facts: Mapping[str, Facts], recipe: Recipe) -> Grouping:
    """Group the hosts, in the order of `facts`; groups come in the order of their first host."""
    members: dict[Key, list[str]] = {}
    rejected = []
    for host, found in facts.items():
        obstacle = find_obstacle(found, recipe)
        if obstacle is None:
            members.setdefault(make_key(found, recipe), []).append(host)
        else:
            row = HostPlan(host=host, verdict=HostVerdict.REJECT, reason=obstacle.reason, hint=obstacle.hint)
            rejected.append(row)
    groups = tuple(
        Group(key=key, signature=make_signature(key, [facts[host] for host in hosts], recipe), hosts=tuple(hosts))
        for key, hosts in members.items()
    )
    return Grouping(groups=groups, rejected=tuple(rejected))


def make_key(facts: Facts, recipe: Recipe) -> Key:
    """Return the key of a host that has no obstacle."""
    interpreter = facts.interpreter
    assert interpreter is not None
    torch = interpreter.torch
    assert torch is not None
    accelerator = accelerator_of(facts, recipe)
    shares_archs = recipe.archs or recipe.arch_policy is ArchPolicy.UNION
    splits_levels = recipe.cpu_level is None and recipe.cpu_policy is CpuPolicy.PER_LEVEL
    return Key(
        accelerator=accelerator,
        gpu_archs=() if shares_archs else archs_of(facts, accelerator),
        torch_version=torch.version,
        torch_cuda=torch.cuda,
        torch_hip=torch.hip,
        cxx11_abi=torch.cxx11_abi,
        python_tag=interpreter.abi_tag,
        machine=facts.system.machine,
        cpu_level=facts.system.cpu_level if splits_levels else None,
    )


def make_signature(key: Key, members: Sequence[Facts], recipe: Recipe) -> Signature:
    """Return the signature of a group: its key, and as floors the lowest of its members."""
    systems = [facts.system for facts in members]
    return Signature(
        accelerator=key.accelerator,
        gpu_archs=key.gpu_archs or _shared_archs(key.accelerator, members, recipe),
        torch_version=key.torch_version,
        torch_cuda=key.torch_cuda,
        torch_hip=key.torch_hip,
        cxx11_abi=key.cxx11_abi,
        python_tag=key.python_tag,
        machine=key.machine,
        cpu_level=recipe.cpu_level or lowest_level(system.cpu_level for system in systems),
        glibc=min((system.glibc for system in systems if system.glibc), key=Version),
        glibcxx=min((system.glibcxx for system in systems if system.glibcxx), key=Version),
    )


def _shared_archs(accelerator: Accelerator, members: Sequence[Facts], recipe: Recipe) -> tuple[str, ...]:
    if accelerator is Accelerator.CPU:
        return ()
    return tuple(sorted(set(recipe.archs) or {arch for facts in members for arch in archs_of(facts, accelerator)}))
