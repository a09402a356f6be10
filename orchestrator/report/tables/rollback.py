"""A rollback: what every host would get back, and what became of that."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from orchestrator.errors import ExitCode
from orchestrator.model.deployment import DeploymentResult
from orchestrator.model.history import RestorePlan, RollbackPlan
from orchestrator.model.plan import HostVerdict
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.ends import end_rows, end_words
from orchestrator.report.page import BAD, GOOD, STRONG, Drawing, Page, line, make_details, make_table, stacked
from orchestrator.report.wording import count, duration

_WORDS = {HostVerdict.INSTALL: "roll back", HostVerdict.KEEP: "keep", HostVerdict.REJECT: "reject"}
_STYLES = {HostVerdict.INSTALL: STRONG, HostVerdict.KEEP: GOOD, HostVerdict.REJECT: BAD}


def rollback_table(plan: RollbackPlan) -> RenderableType:
    """Draw which DeepSpeed every host has and which it gets back, and why."""
    return Drawing(lambda _: stacked(_hosts(plan), line(rollback_sum(plan))))


def rollback_sum(plan: RollbackPlan) -> str:
    """Say the whole plan in one line."""
    numbers = {verdict: len(plan.of_verdict(verdict)) for verdict in HostVerdict}
    words = ", ".join(f"{_WORDS[verdict]} {count(number, 'host')}" for verdict, number in numbers.items() if number)
    return words if plan.has_work else f"nothing to do: {words}"


def rollback_summary(plan: RollbackPlan, result: DeploymentResult, elapsed_s: float) -> RenderableType:
    """Say what every host has now, what failed, and how long it took."""
    return Drawing(lambda page: _summary(plan, result, elapsed_s, page))


def _hosts(plan: RollbackPlan) -> RenderableType:
    """Fold hosts by what happens to them, from which version to which, and why."""
    rows: dict[tuple[HostVerdict, str, str, str], list[str]] = {}
    for row in plan.hosts:
        then = _version(row.version) if row.verdict is HostVerdict.INSTALL else ""
        now = "" if row.verdict is HostVerdict.REJECT and not row.now else _version(row.now)
        rows.setdefault((row.verdict, now, then, _reason(row)), []).append(row.host)
    verdicts = list(HostVerdict)
    return make_table(
        ("HOSTS", "VERDICT", "NOW", "THEN", "WHY"),
        (
            (fold_hosts(hosts), line((_WORDS[verdict], _STYLES[verdict])), now, then, reason)
            for (verdict, now, then, reason), hosts in sorted(rows.items(), key=lambda row: verdicts.index(row[0][0]))
        ),
    )


def _version(version: str | None) -> str:
    return version or "no DeepSpeed"


def _reason(row: RestorePlan) -> str:
    return f"{row.reason}\nhint: {row.hint}" if row.hint else row.reason


def _summary(plan: RollbackPlan, result: DeploymentResult, elapsed_s: float, page: Page) -> RenderableType:
    is_good = result.exit_code is ExitCode.DONE and not plan.of_verdict(HostVerdict.REJECT)
    mark = (page.marks.good, GOOD) if is_good else (page.marks.bad, BAD)
    end = _end(result, is_good=is_good)
    return stacked(make_details(_rows(plan, result), indent=0), line(mark, f" {end}, {duration(elapsed_s)}"))


def _end(result: DeploymentResult, *, is_good: bool) -> str:
    if not is_good:
        return f"{end_words(result)}; deployment {result.deployment}"
    return f"deployment {result.deployment}" if result.ends else "nothing to do"


def _rows(plan: RollbackPlan, result: DeploymentResult) -> Iterator[tuple[str, str]]:
    failed = list(dict.fromkeys(outcome.host for outcome in result.failures))
    yield from end_rows(result, changed="rolled back")
    for name, hosts in (
        ("kept", [row.host for row in plan.of_verdict(HostVerdict.KEEP)]),
        ("rejected", [row.host for row in plan.of_verdict(HostVerdict.REJECT)]),
        ("failed", failed),
    ):
        if hosts:
            yield name, f"{fold_hosts(hosts)} ({count(len(hosts), 'host')})"
