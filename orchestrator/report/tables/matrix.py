"""The matrix of hosts and ops: how far each op got on each host, and every failure under it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.model.verification import CheckState, Verification
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, FAINT, GOOD, Drawing, Page, line, make_table, said, stacked
from orchestrator.report.wording import count

_REPORT = "ds_report"
_READ = "read"
_GAP = 2
_WIDEST_CELL = len("FAIL timed-out")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Hosts whose ops all got equally far."""

    hosts: str
    states: Mapping[str, str]
    """By op; what a host was not asked about is missing."""


def matrix_table(verifications: Mapping[str, Verification]) -> RenderableType:
    """Draw one row per set of equal hosts and one column per op, turned round where that is too wide."""
    return Drawing(lambda page: _matrix(verifications, page))


def _matrix(verifications: Mapping[str, Verification], page: Page) -> RenderableType:
    if not verifications:
        return line("no host was verified")
    rows = _fold(verifications)
    ops = list(dict.fromkeys(op for row in rows for op in row.states))
    tables = [_by_host(rows, ops, page)] if _width(rows, ops, page) <= page.width else _by_op(rows, ops, page)
    return stacked(*tables, _failures(verifications, page), _sum(verifications, page))


def _fold(verifications: Mapping[str, Verification]) -> list[_Row]:
    hosts_by_states: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for host, verification in verifications.items():
        hosts_by_states.setdefault(tuple(_states(verification)), []).append(host)
    return [_Row(hosts=fold_hosts(hosts), states=dict(states)) for states, hosts in hosts_by_states.items()]


def _states(verification: Verification) -> Iterator[tuple[str, str]]:
    yield _REPORT, _READ if verification.report else CheckState.FAILED.value
    for check in verification.checks:
        yield check.op, check.state.value


def _width(rows: Sequence[_Row], ops: Sequence[str], page: Page) -> int:
    names = max(cell_len(row.hosts) for row in rows)
    return names + sum(_GAP + max(cell_len(op), *(_cell(row, op, page).cell_len for row in rows)) for op in ops)


def _by_host(rows: Sequence[_Row], ops: Sequence[str], page: Page) -> Table:
    return make_table(("HOSTS", *ops), ([row.hosts, *(_cell(row, op, page) for op in ops)] for row in rows))


def _by_op(rows: Sequence[_Row], ops: Sequence[str], page: Page) -> Iterator[Table]:
    """Draw ops as rows, and as many tables as the columns of hosts need."""
    room = page.width - max(map(cell_len, ops))
    for part in _parts(rows, room):
        headers = ("OPS", *(row.hosts for row in part))
        yield make_table(headers, [[op, *(_cell(row, op, page) for row in part)] for op in ops])


def _parts(rows: Sequence[_Row], room: int) -> Iterator[Sequence[_Row]]:
    """Cut the rows so that each part's columns fit into `room` cells; one column alone always does, by wrapping."""
    part: list[_Row] = []
    for row in rows:
        if part and sum(_column_width(each) for each in (*part, row)) > room:
            yield part
            part = []
        part.append(row)
    yield part


def _column_width(row: _Row) -> int:
    return _GAP + max(cell_len(row.hosts), _WIDEST_CELL)


def _cell(row: _Row, op: str, page: Page) -> Text:
    state = row.states.get(op)
    if state is None:
        return line((page.marks.dot, FAINT))
    if state == _READ or CheckState(state).is_good:
        return line((page.marks.good, GOOD), f" {state}")
    return line((f"{page.marks.bad} {state}", BAD))


def _failures(verifications: Mapping[str, Verification], page: Page) -> RenderableType | None:
    hosts_by_text: dict[str, list[str]] = {}
    for host, verification in verifications.items():
        for text in _failure_texts(verification):
            hosts_by_text.setdefault(text, []).append(host)
    lines = [said((page.marks.bad, BAD), f"{fold_hosts(hosts)}: {text}") for text, hosts in hosts_by_text.items()]
    return Group(*lines) if lines else None


def _failure_texts(verification: Verification) -> Iterator[str]:
    if verification.report is None:
        yield f"{_REPORT}: {verification.report_error or 'not read'}"
    for check in verification.checks:
        if not check.state.is_good:
            yield f"{check.op} {check.state.value}{': ' if check.text else ''}{check.text}"


def _sum(verifications: Mapping[str, Verification], page: Page) -> Text:
    checks = [check for verification in verifications.values() for check in verification.checks]
    good = sum(check.state.is_good for check in checks)
    is_good = all(verification.is_good for verification in verifications.values())
    mark = (page.marks.good, GOOD) if is_good else (page.marks.bad, BAD)
    return line(mark, f" {count(len(verifications), 'host')}: {good} of {count(len(checks), 'op')} loaded or run")
