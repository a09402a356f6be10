"""The matrix of hosts, their GPUs and ops: how far each op got there; every failure and finding under it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.model.verification import BadOp, CheckState, Finding, Verification
from orchestrator.planning.folding import fold_gpus, fold_hosts
from orchestrator.report.page import BAD, FAINT, GOOD, STRONG, Drawing, Page, line, make_table, said, stacked
from orchestrator.report.wording import count

_REPORT = "ds_report"
_READ = "read"
_GAP = 2
_WIDEST_CELL = len("FAIL no-kernel-image")
_States = tuple[tuple[str, str], ...]
"""Ops with their states, in the order of the checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Hosts, or the same GPUs of several hosts, whose ops all got equally far."""

    hosts: str
    states: Mapping[str, str]
    """By op; what a host was not asked about is missing."""


def matrix_table(verifications: Mapping[str, Verification]) -> RenderableType:
    """Draw one row per set of equal hosts and GPUs and one column per op, turned round where that is too wide."""
    return Drawing(lambda page: _matrix(verifications, page))


def _matrix(verifications: Mapping[str, Verification], page: Page) -> RenderableType:
    if not verifications:
        return line("no host was verified")
    rows = _fold(verifications)
    ops = list(dict.fromkeys(op for row in rows for op in row.states))
    tables = [_by_host(rows, ops, page)] if _width(rows, ops, page) <= page.width else _by_op(rows, ops, page)
    return stacked(
        *tables,
        _failures(verifications, page),
        _not_run(verifications, page),
        _findings(verifications, page),
        _sum(verifications, page),
    )


def _fold(verifications: Mapping[str, Verification]) -> list[_Row]:
    hosts_by_row: dict[tuple[str, _States], list[str]] = {}
    for host, verification in verifications.items():
        for states, gpus in _gpus_by_states(verification).items():
            hosts_by_row.setdefault((fold_gpus(gpus), states), []).append(host)
    return [
        _Row(hosts=f"{fold_hosts(hosts)} {gpus}".rstrip(), states=dict(states))
        for (gpus, states), hosts in hosts_by_row.items()
    ]


def _gpus_by_states(verification: Verification) -> Mapping[_States, Sequence[int]]:
    """Part a host's GPUs by what became of the ops; one part without any where no op was checked on a GPU."""
    gpus = verification.gpus
    parts: dict[_States, list[int]] = {} if gpus else {tuple(_states(verification, None)): []}
    for gpu in gpus:
        parts.setdefault(tuple(_states(verification, gpu)), []).append(gpu)
    return parts


def _states(verification: Verification, gpu: int | None) -> Iterator[tuple[str, str]]:
    yield _REPORT, _READ if verification.report else CheckState.FAILED.value
    for check in verification.checks:
        if check.gpu in (None, gpu):
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
    yield from map(_bad_op_text, verification.bad_ops)


def _bad_op_text(bad: BadOp) -> str:
    where = f" on {fold_gpus(bad.gpus)}" if bad.gpus else ""
    return f"{bad.op} {bad.state.value}{where}{': ' if bad.text else ''}{bad.text}"


def _not_run(verifications: Mapping[str, Verification], page: Page) -> RenderableType | None:
    """Say why ops were loaded only, where there is more to say than that nothing runs them alone."""
    hosts_by_text: dict[str, list[str]] = {}
    for host, verification in verifications.items():
        ops_by_reason: dict[str, list[str]] = {}
        for check in verification.checks:
            if check.state is CheckState.LOADED and check.text:
                ops_by_reason.setdefault(check.text, []).append(check.op)
        for reason, ops in ops_by_reason.items():
            hosts_by_text.setdefault(f"{', '.join(dict.fromkeys(ops))}: loaded, {reason}", []).append(host)
    lines = [said((page.marks.dot, FAINT), f"{fold_hosts(hosts)}: {text}") for text, hosts in hosts_by_text.items()]
    return Group(*lines) if lines else None


def _findings(verifications: Mapping[str, Verification], page: Page) -> RenderableType | None:
    hosts_by_finding: dict[Finding, list[str]] = {}
    for host, verification in verifications.items():
        for finding in verification.findings:
            hosts_by_finding.setdefault(finding, []).append(host)
    lines = [
        said((page.marks.note, STRONG), f"{fold_hosts(hosts)}: {finding.text}", finding.hint)
        for finding, hosts in hosts_by_finding.items()
    ]
    return Group(*lines) if lines else None


def _sum(verifications: Mapping[str, Verification], page: Page) -> Text:
    checks = [check for verification in verifications.values() for check in verification.checks]
    good = sum(check.state.is_good for check in checks)
    is_good = all(verification.is_good for verification in verifications.values())
    mark = (page.marks.good, GOOD) if is_good else (page.marks.bad, BAD)
    gpus = sum(len(verification.gpus) for verification in verifications.values())
    where = count(len(verifications), "host") + (f" with {count(gpus, 'GPU')}" if gpus else "")
    return line(mark, f" {where}: {good} of {count(len(checks), 'op')} loaded or run")
