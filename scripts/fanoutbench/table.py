"""Prints what was measured: a table for each contest, and the goals."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from fanoutbench.contests import CONTESTS, Contest
from fanoutbench.goals import Goal, judge, ratio
from fanoutbench.peers import OURS, PEERS
from fanoutbench.results import Results, Run, Standing

_HEADINGS = (
    *("", "copies go", "wall s", "carrying", "least, most", "÷ limit", "sent ÷ size", "file sent", "CPU s", "largest"),
    "runs",
)
NOTE = """\
Wall seconds: from the start of the command, all connections included, until every host has verified the file (ours), or
until the command ends (the others; then the sha256 of what each host holds is compared). Carrying: less the start of
the program. dsdeploy-first: our agent is not on the hosts yet, and sent along; the others' programs are there. Limit:
one copy through one link, at TCP's share of its rate. Sent: what the controller's interface counted, SSH and
acknowledgements included; the kernel cuts packets up after it counts, so there is a header for each 64 kB, not for each
frame. File sent: the file's own bytes among them. CPU, largest process: of the controller, not of the hosts. Medians.
Stars run at the same time, unless --one-by-one is given, the first on the cluster that all others use, each other one
on a cluster of the same make: what they wait for is their own controller's
link."""


def print_results(results: Results, console: Console) -> None:
    """Print all of it."""
    console.print(", ".join(f"{name}: {value}" for name, value in results.machine.items()), markup=False)
    console.print("; ".join(f"{name}: {version}" for name, version in results.tools.items()), style="dim", markup=False)
    for contest in CONTESTS.values():
        if any(run.contest == contest.name for run in results.runs):
            _print_contest(contest, results, console)
    _print_goals(judge(results), console)
    console.print(NOTE, style="dim")


def _print_contest(contest: Contest, results: Results, console: Console) -> None:
    dates = sorted(run.date[:10] for run in results.runs if run.contest == contest.name)
    limit = f", limit {contest.limit_s:.2f} s" if contest.limit_s else ""
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    table = Table(title=f"{contest.text}{limit} ({when})", title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in _HEADINGS[:2] else "right")
    standings = results.standings(contest.name)
    for peer, standing in standings.items():
        table.add_row(*_cells(contest, peer, standing), style="bold" if peer == OURS else None)
    console.print(table)
    for run in results.runs:
        if run.contest == contest.name:
            _print_remarks(run, console)


def _print_remarks(run: Run, console: Console) -> None:
    if not run.is_good:
        fault = f"{run.whole} of {run.hosts} hosts hold the file, exit code {run.cost.returncode}"
        console.print(f"{run.peer}: {fault}", style="bold red")
    if run.report and run.report.fallen_back:
        hosts = ", ".join(run.report.fallen_back)
        console.print(f"{run.peer}: the controller itself had to serve {hosts}", style="yellow")


def _cells(contest: Contest, peer: str, standing: Standing) -> tuple[str, ...]:
    times = ratio(contest, standing)
    return (
        peer,
        PEERS[peer].kind.value,
        f"{standing.wall_s:.2f}",
        _number(standing.carrying_s, digits=2),
        f"{standing.fastest_s:.2f}, {standing.slowest_s:.2f}" if standing.runs > 1 else "",
        _number(times, digits=2),
        f"{standing.sent_bytes / contest.size_bytes:.3f}",
        _number(standing.file_bytes and standing.file_bytes / contest.size_bytes, digits=3),
        f"{standing.cpu_s:.2f}",
        f"{standing.peak_process_bytes / 1e6:.0f} MB",
        str(standing.runs),
    )


def _number(value: float | None, *, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _print_goals(goals: tuple[Goal, ...], console: Console) -> None:
    table = Table(title="What it should be", title_justify="left")
    for heading in ("measure", "must", "goal", "is", ""):
        table.add_column(heading, justify="left" if heading in ("measure", "") else "right")
    for goal in goals:
        sign = "≤" if goal.is_at_most else "≥"
        limits = (f"{sign} {goal.must:g}", f"{sign} {goal.hope:g}")
        table.add_row(goal.text, *limits, _number(goal.measured, digits=2), _verdict(goal))
    console.print(table)


def _verdict(goal: Goal) -> str:
    if goal.measured is None:
        return "[dim]not measured[/]"
    if goal.meets(goal.hope):
        return "[green]goal met[/]"
    return "[yellow]must met[/]" if goal.meets(goal.must) else "[red]missed[/]"
