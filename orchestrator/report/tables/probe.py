"""What a probe found: equal hosts in one row, the groups that share a wheel, and what makes hosts differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType

from orchestrator.errors import ExitCode
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Failure, FoldedFailure, Outcome, fold_failures
from orchestrator.model.plan import HostPlan
from orchestrator.planning.differences import differences
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.grouping import Grouping
from orchestrator.report.page import STRONG, Drawing, Page, line, make_details, said, stacked, titled
from orchestrator.report.tables.facts import facts_table
from orchestrator.report.tables.failures import failures_block
from orchestrator.report.wording import count


def probe_table(
    facts: Mapping[str, Facts], grouping: Grouping, failures: Sequence[FoldedFailure] = ()
) -> RenderableType:
    """Draw the facts of the hosts that answered, their groups, and why others are rejected or did not answer."""
    return Drawing(lambda page: _probe(facts, grouping, failures, page))


def rejected_failures(rejected: Sequence[HostPlan]) -> tuple[FoldedFailure, ...]:
    """Return why hosts are rejected in the shape of failures: equal reasons once."""
    return fold_failures(
        Outcome[object](host=row.host, failure=Failure(message=row.reason, hint=row.hint, exit_code=ExitCode.PLAN))
        for row in rejected
    )


def _probe(
    facts: Mapping[str, Facts], grouping: Grouping, failures: Sequence[FoldedFailure], page: Page
) -> RenderableType:
    rejected = rejected_failures(grouping.rejected)
    return stacked(
        facts_table(facts) if facts else None,
        _groups(grouping),
        _differences(grouping),
        _notes(facts, page),
        titled("Rejected: no wheel can go there", failures_block(rejected)) if rejected else None,
        titled("No answer", failures_block(failures)) if failures else None,
    )


def _groups(grouping: Grouping) -> RenderableType | None:
    if not grouping.groups:
        return None
    rows = [(group.signature.label, fold_hosts(group.hosts)) for group in grouping.groups]
    return titled(f"{count(len(rows), 'wheel')} would serve them", make_details(rows))


def _differences(grouping: Grouping) -> RenderableType | None:
    found = differences(grouping.groups)
    if not found:
        return None
    return titled("What makes them differ", Group(*(line(f"  {difference.text}") for difference in found)))


def _notes(facts: Mapping[str, Facts], page: Page) -> RenderableType | None:
    hosts_by_note: dict[str, list[str]] = {}
    for host, found in facts.items():
        for note in found.notes:
            hosts_by_note.setdefault(note, []).append(host)
    lines = [said((page.marks.note, STRONG), f"{fold_hosts(hosts)}: {note}") for note, hosts in hosts_by_note.items()]
    return Group(*lines) if lines else None
