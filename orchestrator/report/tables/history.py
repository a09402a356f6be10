"""The deployments that a journal knows: all of them, or one with what it meant for every host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from orchestrator.model.deployment import HostEnd
from orchestrator.model.history import DeploymentRecord, HostRecord
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import STRONG, Drawing, Page, line, make_details, make_table, said, stacked, titled

_ENDS: dict[HostEnd | None, str] = {
    HostEnd.NEW: "committed",
    HostEnd.OLD: "as before",
    HostEnd.LEFT: "left uncommitted",
    HostEnd.UNKNOWN: "not known",
    None: "not ended",
}
_DIGITS = 12
"""How much of a wheel's digest people are shown; the store finds a wheel by six."""


def history_table(records: Sequence[DeploymentRecord], *, has_older: bool = False) -> RenderableType:
    """Draw a row per deployment, and what is to be done about those that did not end."""
    return Drawing(lambda page: _history(records, page, has_older=has_older))


def deployment_details(record: DeploymentRecord) -> RenderableType:
    """Draw all of one deployment, hosts that read alike in one row."""
    return Drawing(lambda page: _details(record, page))


def _history(records: Sequence[DeploymentRecord], page: Page, *, has_older: bool) -> RenderableType:
    if not records:
        nothing = "no deployment is known here"
        return said((page.marks.note, STRONG), nothing, "dsdeploy provision and dsdeploy push write theirs down")
    table = make_table(("STARTED (UTC)", "DEPLOYMENT", "BY", "KIND", "RECIPE", "HOSTS", "END"), map(_row, records))
    table.columns[1].no_wrap = True  # an id is there to be copied
    return stacked(
        table,
        line("older ones: -n N shows more") if has_older else None,
        _not_over(records, page),
    )


def _row(record: DeploymentRecord) -> Sequence[str]:
    hosts = fold_hosts(host.host for host in record.hosts)
    return (
        _moment(record.started_at),
        record.id,
        record.author,
        record.kind.value,
        record.recipe or "",
        hosts,
        _end(record),
    )


def _details(record: DeploymentRecord, page: Page) -> RenderableType:
    from_stamps = "known from its hosts only: hosts that were not asked are missing, and so is what did not end well"
    return stacked(
        titled(f"deployment {record.id}", make_details(_fields(record))),
        make_table(("HOSTS", "END", "DEEPSPEED", "BEFORE", "WHEEL", "INTO"), _host_rows(record.hosts)),
        said((page.marks.note, STRONG), from_stamps) if record.is_from_stamps else None,
        _not_over([record], page),
    )


def _fields(record: DeploymentRecord) -> Iterator[tuple[str, str]]:
    yield "kind", record.kind.value
    yield "by", record.author
    yield "started", f"{_moment(record.started_at)} UTC"
    if record.ended_at:
        yield "ended", f"{_moment(record.ended_at)} UTC"
    if record.recipe:
        yield "recipe", record.recipe
    yield "decided", record.decision.value
    yield "end", _end(record)


def _host_rows(hosts: Sequence[HostRecord]) -> Iterator[tuple[str, ...]]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for host in hosts:
        alike.setdefault(_host_cells(host), []).append(host.host)
    for cells, names in alike.items():
        yield fold_hosts(names), *cells


def _host_cells(host: HostRecord) -> tuple[str, ...]:
    wheel = (host.wheel_sha256 or "")[:_DIGITS]
    return _ENDS[host.end], host.version or "taken out", host.before or "", wheel, host.prefix or ""


def _end(record: DeploymentRecord) -> str:
    """Say what became of a deployment: one word where all hosts agree, else how many of each."""
    found = Counter(host.end for host in record.hosts)
    if len(found) == 1:
        return _ENDS[next(iter(found))]
    return ", ".join(f"{found[end]} {name}" for end, name in _ENDS.items() if found[end])


def _not_over(records: Sequence[DeploymentRecord], page: Page) -> RenderableType | None:
    names = [record.id for record in records if not record.is_over]
    if not names:
        return None
    hint = "dsdeploy recover brings its hosts to rest, unless it goes on at this moment"
    return said((page.marks.note, STRONG), f"not ended: {', '.join(names)}", hint)


def _moment(time_utc: str) -> str:
    """Write an ISO 8601 time to the minute."""
    return time_utc[:16].replace("T", " ")
