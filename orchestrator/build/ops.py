"""Has the library of every op: from the cache, else compiled now, every object once."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from orchestrator.build.commands import Captured
from orchestrator.build.compiler_runs import Compiler, Run
from orchestrator.build.order import BuildTools
from orchestrator.build.schedule import Budget, choose_next, in_order, time_left_s
from orchestrator.build.tasks import Task, make_tasks
from orchestrator.build.tree import Tree
from orchestrator.model.events import Note, OpFinished, OpReused, OpStarted, SourcesCompiled
from orchestrator.model.timings import Span
from orchestrator.ports import PastCompile

_WORTH_REMEMBERING_S = 1.0
"""CPU seconds; a run that ccache answered takes less, and says nothing of the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledOp:
    """One op's library in the tree's build folder."""

    op: str
    sha256: str
    compile_s: float | None
    """What its compiler and linker runs took; None when the cache had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledOps:
    """What was done for the ops of one build."""

    ops: tuple[CompiledOp, ...] = ()
    spans: tuple[Span, ...] = ()

    @property
    def reused(self) -> tuple[str, ...]:
        """Names of the ops that the cache had."""
        return tuple(op.op for op in self.ops if op.compile_s is None)

    def seconds_of(self, name: str) -> float | None:
        """Return what compiling one op took; None when it was not compiled now."""
        return next((op.compile_s for op in self.ops if op.op == name), None)


def compile_ops(tree: Tree, captured: Captured, tools: BuildTools, elapsed_s: Callable[[], float]) -> CompiledOps:
    """Bring the library of every op into the tree's build folder; `elapsed_s` is the time since the build began.

    When one fails the others are ended, and its BuildError is raised; the same when the user interrupts. Libraries that
    were finished by then are in the cache: the next build goes on there.
    """
    reused = _restore(tree, captured, tools)
    there = {op.op for op in reused}
    missing = [op for op in captured.ops if op not in there]
    crew = _Crew(tree, captured, tools, elapsed_s)
    crew.make(make_tasks(captured, missing, tree.order.built_specs, tools.history))
    return CompiledOps(ops=(*reused, *crew.compiled), spans=tuple(crew.spans))


def _restore(tree: Tree, captured: Captured, tools: BuildTools) -> list[CompiledOp]:
    """Put back what the cache holds."""
    reused = []
    for op, commands in captured.ops.items():
        library = tools.op_cache.find(captured.key_of(op))
        if library is not None:
            tree.shop.remote.put(library, f"{tree.folder}/{commands.library}", mode=0o755)
            reused.append(CompiledOp(op=op, sha256=_digest_of(library), compile_s=None))
            tools.reporter.emit(OpReused(wheel=tree.order.signature.label, op=op, total=len(captured.ops)))
    return reused


def _digest_of(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


class _Crew:
    """Runs tasks side by side, until all are done or one fails."""

    def __init__(self, tree: Tree, captured: Captured, tools: BuildTools, elapsed_s: Callable[[], float]) -> None:
        self.compiled: list[CompiledOp] = []
        self.spans: list[Span] = []
        self._tree = tree
        self._captured = captured
        self._tools = tools
        self._compiler = Compiler(tree, elapsed_s)
        self._budget = Budget(cores=tree.order.cores, memory_bytes=tree.order.memory_bytes)
        self._waiting: list[Task] = []
        self._sources = 0
        self._running: dict[Future[Run], Task] = {}
        self._made: set[str] = set()
        self._begun: set[str] = set()
        self._past: dict[str, PastCompile] = {}

    def make(self, tasks: Sequence[Task]) -> None:
        """Run all tasks."""
        self._waiting = list(in_order(tasks))
        self._sources = sum(not task.is_link for task in tasks)
        with ThreadPoolExecutor(max_workers=self._budget.cores) as pool:
            try:
                while self._waiting or self._running:
                    self._start_what_fits(pool)
                    done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._take(self._running.pop(future), future.result())
            except BaseException:
                self._compiler.stop()
                raise
            finally:
                self._tools.history.remember(self._past)

    def _start_what_fits(self, pool: ThreadPoolExecutor) -> None:
        while task := choose_next(self._waiting, self._running.values(), self._made, self._budget):
            self._waiting.remove(task)
            self._tell_begun(task)
            self._running[pool.submit(self._compiler.run, task)] = task

    def _take(self, task: Task, run: Run) -> None:
        self.spans.append(run.span)
        if run.is_killed and not task.is_retry:
            self._budget = self._budget.halved()
            self._waiting.insert(0, replace(task, is_retry=True))
            again = f"{task.label}: its compiler was killed, as for want of memory; it starts again, with half the jobs"
            self._tools.reporter.emit(Note(text=again))
            return
        if run.error is not None:
            self._tell_ended(task, error=run.error.message)
            raise run.error
        self._made.add(task.target)
        if task.history_key and run.span.cpu_s >= _WORTH_REMEMBERING_S:
            past = PastCompile(cpu_s=run.span.cpu_s, peak_memory_bytes=run.span.peak_memory_bytes)
            self._past[task.history_key] = past
        if task.is_link:
            self._keep(task)
            self._tell_ended(task)
        self._tell_progress()

    def _keep(self, link: Task) -> None:
        """Take a library into the cache."""
        (op,) = link.ops
        with tempfile.TemporaryDirectory(dir=self._tools.folder) as folder:
            copy = Path(folder, PurePosixPath(link.target).name)
            sha256 = self._tree.shop.remote.get(f"{self._tree.folder}/{link.target}", copy)
            self._tools.op_cache.add(self._captured.key_of(op), copy)
        self.compiled.append(CompiledOp(op=op, sha256=sha256, compile_s=self._seconds_of(op)))

    def _seconds_of(self, op: str) -> float:
        return sum(span.elapsed_s for span in self.spans if op in (span.op, *span.shared_with))

    def _tell_begun(self, task: Task) -> None:
        wheel, total = self._tree.order.signature.label, len(self._captured.ops)
        for op in task.ops:
            if op not in self._begun:
                self._begun.add(op)
                self._tools.reporter.emit(OpStarted(wheel=wheel, op=op, total=total))

    def _tell_ended(self, task: Task, *, error: str = "") -> None:
        wheel, op = self._tree.order.signature.label, task.ops[0]
        elapsed_s = self._seconds_of(op)
        self._tools.reporter.emit(OpFinished(wheel=wheel, op=op, is_ok=not error, elapsed_s=elapsed_s, text=error))

    def _tell_progress(self) -> None:
        left = [task for task in (*self._waiting, *self._running.values()) if not task.is_link]
        self._tools.reporter.emit(
            SourcesCompiled(
                wheel=self._tree.order.signature.label,
                done=self._sources - len(left),
                total=self._sources,
                left_s=time_left_s(left, self._budget),
            )
        )
