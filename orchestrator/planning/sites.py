"""Decides which hosts share one installation, which of them writes it, and what they know of it together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from orchestrator.errors import PlanError
from orchestrator.model.facts import Facts
from orchestrator.planning.folding import fold_hosts


def make_sites(facts: Mapping[str, Facts], versions: Mapping[str, str | None]) -> dict[str, str]:
    """Return host → the host that writes its site-packages: the first that shares them, itself when nobody does.

    `versions` is what each host is to have; no two wheels for different signatures have the same. Raises PlanError when
    hosts that share an installation are to have different ones.
    """
    sites: dict[str, str] = {}
    for members in find_shared(facts):
        sites |= dict.fromkeys(members, members[0])
        _check_agreement(members, facts[members[0]], versions)
    return {host: sites.get(host, host) for host in facts}


def find_shared(facts: Mapping[str, Facts]) -> tuple[tuple[str, ...], ...]:
    """Return the hosts of each installation that several hosts share, in the order given."""
    sites: dict[tuple[str, str], list[str]] = {}
    for host, found in facts.items():
        if (place := _place(found)) is not None:
            sites.setdefault(place, []).append(host)
    return tuple(tuple(hosts) for hosts in sites.values() if len(hosts) > 1)


def check_bystanders(facts: Mapping[str, Facts], changed: Collection[str], rejected: Mapping[str, str]) -> None:
    """Raise PlanError when hosts are to be changed that share their installation with one that cannot take the wheel.

    `rejected`: host → why.
    """
    for members in find_shared(facts):
        victims = [host for host in members if host in rejected]
        movers = [host for host in members if host in changed]
        if victims and movers:
            reasons = "; ".join(dict.fromkeys(rejected[host] for host in victims))
            raise PlanError(
                f"{fold_hosts(movers)} would change the installation of {fold_hosts(victims)} too, which shares it and "
                f"cannot take the wheel: {reasons}",
                hint="give each kind of host an environment of its own (python= in the hostfile); --exclude leaves "
                "only the question out: what is shared changes nevertheless",
            )


def remember_together(facts: Mapping[str, Facts]) -> dict[str, Facts]:
    """Return the facts with hosts that share an installation remembering of it what the best informed of them does.

    Only the host that wrote has kept what was there before; another that joined later knows of no deployment at all.
    """
    together = dict(facts)
    for members in find_shared(facts):
        best = facts[max(members, key=lambda host: _knowledge(facts[host]))]
        together |= {host: replace(facts[host], stamp=best.stamp, kept=best.kept) for host in members}
    return together


def _place(facts: Facts) -> tuple[str, str] | None:
    """Name the installation, equal on all hosts that share it; None where that cannot be told."""
    if facts.interpreter is None:
        return None
    ids = [disk.filesystem_id for disk in facts.disks if disk.role == "site-packages" and disk.filesystem_id]
    return (ids[0], facts.interpreter.prefix) if ids else None


def _knowledge(facts: Facts) -> tuple[str, int]:
    deployments = [kept.replaced_by for kept in facts.kept] + ([facts.stamp.deployment] if facts.stamp else [])
    return max(deployments, default=""), len(facts.kept)


def _check_agreement(members: tuple[str, ...], facts: Facts, versions: Mapping[str, str | None]) -> None:
    hosts_by_version: dict[str | None, list[str]] = {}
    for host in members:
        hosts_by_version.setdefault(versions[host], []).append(host)
    if len(hosts_by_version) > 1:
        assert facts.interpreter is not None  # else it would share nothing
        wishes = "; ".join(
            f"{fold_hosts(hosts)}: {f'DeepSpeed {version}' if version else 'no DeepSpeed'}"
            for version, hosts in hosts_by_version.items()
        )
        raise PlanError(
            f"{fold_hosts(members)} share {facts.interpreter.prefix} and cannot have different wheels in it: {wishes}",
            hint="give each kind of host an environment of its own (python= in the hostfile), or make one wheel serve "
            "all of them with the recipe's `archs:` and `cpu:`",
        )
