"""The hosts of a hostfile, after its filters."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from orchestrator.model.hosts import Host
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import Drawing, make_table


def hosts_table(hosts: Sequence[Host]) -> RenderableType:
    """Draw a row for hosts that differ in their name only."""
    return Drawing(lambda _: _table(hosts))


def _table(hosts: Sequence[Host]) -> RenderableType:
    rows: dict[tuple[str, ...], list[str]] = {}
    for host in hosts:
        rows.setdefault(_cells(host), []).append(host.name)
    headers = ("HOSTS", "SLOTS", "USER", "PORT", "PYTHON")
    return make_table(headers, ((fold_hosts(names), *cells) for cells, names in rows.items()))


def _cells(host: Host) -> tuple[str, ...]:
    slots = fold_hosts(str(slot) for slot in host.slots).strip("[]")
    port = str(host.port) if host.port is not None else ""
    return slots, host.user or "", port, host.python or ""
