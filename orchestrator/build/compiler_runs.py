"""Runs one compiler or linker on the builder, and says what it took."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.build.steps import log_name, result_of
from orchestrator.build.tasks import Task
from orchestrator.build.tree import Tree
from orchestrator.errors import BuildError, DsdeployError
from orchestrator.model.codec import from_document
from orchestrator.model.timings import Span, StageTime
from orchestrator.ports import Command

# Direct hits for the same sources wherever the tree lies: paths are relative, so its folder says nothing.
_CCACHE = {"CCACHE_NOHASHDIR": "1", "CCACHE_COMPILERCHECK": "content"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one task ended."""

    span: Span
    error: BuildError | None = None
    """Why it failed; None when it did not."""
    is_killed: bool = False
    """Whether a signal ended its compiler, as the kernel does for want of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What compile.py says at its end."""

    cpu_s: float = 0.0
    peak_memory_bytes: int | None = None
    stages: tuple[StageTime, ...] = ()
    is_killed: bool


class Compiler:
    """Runs tasks in one tree; safe to use from several threads."""

    def __init__(self, tree: Tree, elapsed_s: Callable[[], float]) -> None:
        self._tree = tree
        self._elapsed_s = elapsed_s
        self._driver = tree.shop.send_driver("compile")
        self._stop_file = tree.shop.path("stop")
        self._is_stopped = False

    def run(self, task: Task) -> Run:
        """Run one task to its end; a compiler that fails is a value, a lost connection raises HostError."""
        began_s = self._elapsed_s()
        step = f"{task.ops[0]} {task.label}"
        completed = self._tree.shop.attempt(step, self._command(task))
        elapsed_s = self._elapsed_s() - began_s
        was_ended = completed.returncode < 0  # our own program, by the kernel, or by itself to stop the build
        told = _Told(is_killed=not self._is_stopped) if was_ended else from_document(_Told, result_of(completed))
        span = Span(
            op=task.ops[0],
            source=task.label,
            start_s=began_s,
            elapsed_s=elapsed_s,
            cpu_s=told.cpu_s,
            peak_memory_bytes=told.peak_memory_bytes,
            stages=told.stages,
            is_link=task.is_link,
            shared_with=task.ops[1:],
            is_retry=task.is_retry,
        )
        error = self._tree.shop.failure(step, completed, of=f"op {task.ops[0]}") if completed.returncode else None
        return Run(span=span, error=error, is_killed=told.is_killed)

    def stop(self) -> None:
        """End all that runs; compile.py waits for the file."""
        self._is_stopped = True
        with contextlib.suppress(DsdeployError):  # a lost connection has ended them
            self._tree.shop.remote.put(b"", self._stop_file)

    def _command(self, task: Task) -> Command:
        order = self._tree.order
        ccache = (order.ccache,) if order.ccache and not task.is_link else ()
        keep = f"build/keep/{log_name(task.target)}"
        return Command(
            argv=(self._tree.environment.python, "-I", "-S", self._driver, self._stop_file, keep, *ccache, *task.argv),
            cwd=self._tree.folder,
            environment={**self._tree.variables, **_CCACHE},
        )
