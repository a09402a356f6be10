"""Prints the matrix, what was found, and the peers' row."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from faultsbench.cells import CELLS, Fault, Rest, Step
from faultsbench.results import CellResult, PeerResult, Results

NOTE = """\
Each cell: what every host had, byte for byte, when all was over; the exit code of the run that the fault came into;
seconds for all of it, with the command that brings the hosts to rest: by turns `dsdeploy recover` and, where there is
a +, the same push once more, after which all have the new one. The fault comes in exactly that step: the host that
suffers is held there, watched through its own ledger, until another host shows that the controller is there."""


def print_results(results: Results, console: Console) -> None:
    """Print all of it."""
    table = Table(title=f"one fault in one step of a deployment to {results.hosts} hosts", title_justify="left")
    table.add_column("")
    for step in Step:
        table.add_column(step.value, justify="right")
    for fault in Fault:
        cells = [results.cells.get(f"{step.value}:{fault.value}") for step in Step]
        table.add_row(fault.text, *map(_cell_text, cells))
    console.print(table)
    good = sum(cell.is_good for cell in results.cells.values())
    console.print(f"{good} of {len(CELLS)} cells are all or none", style="bold")
    for cell in results.cells.values():
        for finding in cell.findings:
            console.print(f"{cell.cell}: {finding}", style="red", markup=False)
    console.print(NOTE, style="dim")
    if results.peers:
        print_peers(results.peers, console)


def _cell_text(result: CellResult | None) -> str:
    if result is None:
        return "[dim]not run[/]"
    colour = "green" if result.is_good else "bold red"
    again = "+" if result.rest == Rest.NEXT_PUSH.value else ""
    return f"[{colour}]{result.outcome}{again}[/] {result.exit_code} {result.elapsed_s:.0f} s"


def print_peers(peers: list[PeerResult], console: Console) -> None:
    """Print what others leave behind."""
    table = Table(title="the same wheel copied and installed by others", title_justify="left")
    for heading in ("", "one host suffers", "exit code", "seconds", "then on disk"):
        table.add_column(heading)
    for result in peers:
        found = "; ".join(dict.fromkeys(f"{text}: {_hosts_with(result, text)}" for text in result.hosts.values()))
        table.add_row(result.peer, result.fault, str(result.exit_code), f"{result.elapsed_s:.0f}", found)
    console.print(table)


def _hosts_with(result: PeerResult, text: str) -> str:
    hosts = [host for host, found in result.hosts.items() if found == text]
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"
