"""Prints what was measured as one table, the goals beside it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from cudabench.results import GOALS, PhaseResult, Results

_ARCHS = {"single-80": ("sm_80",), "fat": ("sm_80", "sm_90")}
NOTE = """\
torch and the CUDA toolkit were fetched before, once for both sides, and count for neither. Making the build's \
environment, unpacking the source, auditing and storing the wheel count for ours. Both run as many compilers as there \
are cores. ccache is ours only, when it is on PATH, and was empty before `ours`; upstream's command runs without. \
add-op: the caches of a build of all ops but one."""


def print_table(results: Results, console: Console) -> None:
    """Print the table and what it leaves out."""
    machine = results.machine
    table = Table(title=", ".join(f"{name}: {value}" for name, value in machine.items()), title_justify="left")
    for heading in ("", "wall s", "CPU s", "largest process", "all at once", "wheel", "ops", "GPU code", "goal", "is"):
        table.add_column(heading, justify="left" if heading in ("", "GPU code", "goal") else "right")
    for name, result in results.phases.items():
        table.add_row(name, *_cells(result), *_goal_cells(name, results))
    console.print(table)
    console.print(NOTE, style="dim")
    for name, result in results.phases.items():
        for fault in _faults(name, result):
            console.print(f"{name}: {fault}", style="bold red")


def _cells(result: PhaseResult) -> tuple[str, ...]:
    cost, wheel = result.cost, result.wheel
    return (
        f"{cost.wall_s:.1f}",
        f"{cost.cpu_s:.0f}",
        f"{cost.peak_process_bytes / 1e9:.2f} GB",
        f"{cost.peak_tree_bytes / 1e9:.2f} GB",
        f"{wheel.size_bytes / 1e6:.1f} MB",
        str(wheel.ops),
        " ".join([*wheel.gpu_archs, *wheel.ptx_archs]),
    )


def _goal_cells(name: str, results: Results) -> tuple[str, str]:
    goal = next((goal for goal in GOALS if goal.phase == name), None)
    measured = goal.measured(results.phases) if goal else None
    if goal is None or measured is None:
        return (goal.text if goal else "", "")
    text = f"{measured:.1%}" if goal.relative_to else f"{measured:.2f} s"
    is_met = measured <= goal.at_most
    return goal.text, f"[{'green' if is_met else 'red'}]{text} {'met' if is_met else 'missed'}[/]"


def _faults(name: str, result: PhaseResult) -> list[str]:
    """Return what is wrong with one of our wheels; upstream's is only told."""
    left = [f"{result.cost.left_running} processes were left running"] if result.cost.left_running else []
    return left if name == "upstream" else [*left, *result.wheel.faults(_ARCHS.get(name, ("sm_90",)))]
