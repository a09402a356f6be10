"""Decides which compiler starts next: the longest first, and never more than cores and memory bear."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestrator.build.tasks import Task
from orchestrator.model.ops import OpSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all compilers together may take."""

    cores: int
    memory_bytes: int

    def halved(self) -> Budget:
        """Return what is left to them when one was killed for want of memory; at least one core."""
        return Budget(cores=max(1, self.cores // 2), memory_bytes=self.memory_bytes // 2)


def in_order(tasks: Collection[Task]) -> tuple[Task, ...]:
    """Return the tasks in the order in which they should start: links as soon as they can, then the longest first."""
    return tuple(sorted(tasks, key=lambda task: (not task.is_link, -task.cpu_s, task.label)))


def choose_next(
    waiting: Sequence[Task], running: Collection[Task], made: Collection[str], budget: Budget
) -> Task | None:
    """Return the first waiting task that has its sources and fits beside the running ones; None: one must end first.

    `made` are the targets that are there. When nothing runs, the first is returned whatever it takes: one compiler may
    always run.
    """
    ready = [task for task in waiting if all(source in made for source in task.sources)]
    if not running:
        return ready[0] if ready else None
    if len(running) >= budget.cores:
        return None
    free_bytes = budget.memory_bytes - sum(task.memory_bytes for task in running)
    return next((task for task in ready if task.memory_bytes <= free_bytes), None)


def time_left_s(waiting: Collection[Task], budget: Budget) -> float:
    """Return about how long the waiting tasks will take."""
    return sum(task.cpu_s for task in waiting) / budget.cores


def count_compilers(specs: Sequence[OpSpec], *, cores: int, memory_bytes: int) -> int:
    """Return how many compilers may run at once if any may be the hungriest; at least one."""
    peak_bytes = max((spec.peak_memory_bytes for spec in specs), default=1)
    return max(1, min(cores, memory_bytes // peak_bytes))
