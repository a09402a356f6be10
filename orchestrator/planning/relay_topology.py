"""Says who takes, or took, from whom while files are relayed."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.model.fanout import Topology
from orchestrator.planning.relay_hosts import RelayHost, Standing


def topology_of(hosts: Mapping[str, RelayHost]) -> Topology:
    """Return it without the hosts that failed, whose children are put under the next that lives, or lacked nothing."""
    served: dict[str | None, list[str]] = {}
    for host in hosts.values():
        if host.attempt and host.standing is not Standing.FAILED:
            served.setdefault(_living(hosts, host.parent), []).append(host.name)
    seeds = [name for name in served if name is not None and not hosts[name].attempt]
    parents: dict[str, str | None] = {}
    waiting: list[str | None] = [*seeds, None]
    while waiting:
        children = served.get(parent := waiting.pop(), ())
        parents.update(dict.fromkeys(children, parent))
        waiting.extend(reversed(children))
    return Topology(parents=parents)


def _living(hosts: Mapping[str, RelayHost], parent: str | None) -> str | None:
    while parent is not None and hosts[parent].standing is Standing.FAILED:
        parent = hosts[parent].parent
    return parent
