"""What recovery found on hosts, and where it brought them."""

from __future__ import annotations

from rich.console import RenderableType

from orchestrator.model.deployment import HostEnd
from orchestrator.model.recovery import Recovered, RecoveryStep
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, GOOD, Drawing, Page, line, make_table, stacked
from orchestrator.report.wording import count

_ENDS = {HostEnd.NEW: "committed", HostEnd.OLD: "has what it had before", HostEnd.UNKNOWN: "unknown"}


def recover_table(recovered: Recovered) -> RenderableType:
    """Say what was pending and where it went, hosts that read alike in one row."""
    return Drawing(lambda page: _table(recovered, page))


def _table(recovered: Recovered, page: Page) -> RenderableType:
    rows: dict[tuple[str, ...], list[str]] = {}
    for host, steps in recovered.steps.items():
        for step in steps:
            rows.setdefault(_row(host, step, recovered), []).append(host)
    headers = ("hosts", "deployment", "of", "now", "because")
    table = make_table(headers, [(fold_hosts(hosts), *row) for row, hosts in rows.items()]) if rows else None
    return stacked(table, _sum(recovered, page))


def _row(host: str, step: RecoveryStep, recovered: Recovered) -> tuple[str, ...]:
    deployment = step.pending.deployment
    return deployment, step.pending.author, _ENDS[recovered.end_of(host, deployment)], step.reason


def _sum(recovered: Recovered, page: Page) -> RenderableType:
    at_rest = count(len(recovered.ledgers), "host")
    if recovered.failures:
        bad = fold_hosts(dict.fromkeys(outcome.host for outcome in recovered.failures))
        return line((page.marks.bad, BAD), f" {bad} could not be brought to rest")
    if not recovered.steps:
        return line((page.marks.good, GOOD), f" nothing was pending on {at_rest}")
    return line((page.marks.good, GOOD), f" {at_rest} at rest, {len(recovered.steps)} of them since now")
