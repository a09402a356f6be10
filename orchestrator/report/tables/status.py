"""How hosts stand against what was deployed to them: equal ones in one row, those that differ with the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import RenderableType

from orchestrator.model.outcome import fold_failures
from orchestrator.model.status import ClusterStatus, HostState, HostStatus
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, GOOD, Drawing, Page, line, make_table, stacked, titled
from orchestrator.report.tables.failures import failures_block
from orchestrator.report.wording import count

_WORST_LAST = (
    HostState.SAME,
    HostState.NEVER,
    HostState.NEW,
    HostState.GONE,
    HostState.PENDING,
    HostState.DRIFTED,
    HostState.UNKNOWN,
)
_CURES = {
    HostState.PENDING: "dsdeploy recover ends it, unless it goes on at this moment",
    HostState.DRIFTED: "dsdeploy provision puts it right",
    HostState.NEW: "dsdeploy provision brings it what its neighbours have",
    HostState.NEVER: "dsdeploy provision",
}


def status_table(status: ClusterStatus) -> RenderableType:
    """Draw a row for hosts whose state and evidence read alike, why others could not be asked, and the sum of it."""
    return Drawing(lambda page: _status(status, page))


def _status(status: ClusterStatus, page: Page) -> RenderableType:
    asked = [host for host in status.hosts if host.state is not HostState.UNKNOWN]
    failures = fold_failures(status.failures)
    return stacked(
        make_table(("HOSTS", "STATE", "WHAT IT HAS, OR WHAT DIFFERS"), _rows(asked)) if asked else None,
        titled("No answer", failures_block(failures)) if failures else None,
        *(line(("hint: ", "bold"), _CURES[state]) for state in _CURES if status.of_state(state)),
        _sum(status, page),
    )


def _rows(hosts: Iterable[HostStatus]) -> Iterator[tuple[str, str, str]]:
    alike: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        text = "\n".join(drift.text for drift in host.drifts) or host.text
        alike.setdefault((host.state.value, text), []).append(host.host)
    for (state, text), names in alike.items():
        yield fold_hosts(names), state, text


def _sum(status: ClusterStatus, page: Page) -> RenderableType:
    numbers = Counter(host.state for host in status.hosts)
    is_good = set(numbers) <= {HostState.SAME}
    mark = (page.marks.good, GOOD) if is_good else (page.marks.bad, BAD)
    words = [f"{numbers[state]} {state.value}" for state in _WORST_LAST if numbers[state]]
    since = f"last deployment {status.deployment}" if status.deployment else "no deployment is known"
    return line(mark, f" {count(len(status.hosts), 'host')}: {', '.join(words)}; {since}")
