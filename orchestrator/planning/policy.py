"""Decides in which order hosts are changed, and what a failure among them means for the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum

from orchestrator.model.deployment import OnFailure, Policy


class Course(Enum):
    """How a deployment goes on."""

    GO_ON = "go on"
    STOP = "stop"
    """Touch no further host; what is good is committed."""
    GO_BACK = "go back"
    """Every changed host gets back what it had."""


def decide_course(policy: Policy, *, failed: int, total: int) -> Course:
    """Return how a deployment to `total` hosts goes on when so many of them have failed."""
    if not failed:
        return Course.GO_ON
    if policy.on_failure is OnFailure.KEEP:
        return Course.STOP
    is_borne = policy.on_failure is OnFailure.DROP_HOST and failed <= policy.max_failures.of(total)
    return Course.GO_ON if is_borne else Course.GO_BACK


def make_waves(hosts: Sequence[str], policy: Policy, sites: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Return the hosts in the order in which they are changed, those of one wave at the same time.

    The canaries come first, then batches. `sites` says of hosts that share one installation who writes it (host →
    writer; a host that shares with nobody may be missing): all of a site go in the wave of its first host.
    """
    waves: list[list[str]] = []
    placed: dict[str, list[str]] = {}
    sizes = [policy.canary] if policy.canary else []
    for host in hosts:
        site = sites.get(host, host)
        if site in placed:
            placed[site].append(host)
            continue
        size = sizes[len(waves) - 1] if 0 < len(waves) <= len(sizes) else policy.batch
        if not waves or (size is not None and len(waves[-1]) >= size):
            waves.append([])
        placed[site] = waves[-1]
        waves[-1].append(host)
    return tuple(tuple(wave) for wave in waves)


def spread_over_sites(failed: Iterable[str], hosts: Collection[str], sites: Mapping[str, str]) -> frozenset[str]:
    """Return the failed hosts, and those of `hosts` that share an installation with one: they cannot go another way."""
    lost = {sites.get(host, host) for host in failed}
    return frozenset(host for host in hosts if sites.get(host, host) in lost)
