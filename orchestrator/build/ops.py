"""Compiles the ops of a wheel, one process and one build folder each."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from orchestrator.build.schedule import ScheduledOp, make_schedule
from orchestrator.build.steps import result_of
from orchestrator.build.tree import Tree
from orchestrator.errors import BuildError, DsdeployError
from orchestrator.model.events import OpFinished, OpStarted
from orchestrator.ports import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledOp:
    """One op in the tree's build folder."""

    op: str
    sha256: str
    compile_s: float


def compile_ops(tree: Tree, reporter: Reporter) -> tuple[CompiledOp, ...]:
    """Compile every op of the order into the tree's build folder.

    When one fails the others are ended, and its BuildError is raised; the same when the user interrupts.
    """
    order = tree.order
    schedule = make_schedule(order.built_specs, cores=order.cores, memory_bytes=order.memory_bytes)
    crew = _Crew(tree=tree, reporter=reporter, total=len(schedule.ops))
    with ThreadPoolExecutor(max_workers=schedule.at_once) as pool:
        try:
            futures = [pool.submit(crew.compile, op) for op in schedule.ops]
            return tuple(future.result() for future in as_completed(futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            crew.stop()
            raise


class _Crew:
    """Compiles ops from several threads, until one of them fails."""

    def __init__(self, *, tree: Tree, reporter: Reporter, total: int) -> None:
        self._tree = tree
        self._reporter = reporter
        self._total = total
        self._is_stopped = threading.Event()
        self._stop_file = tree.shop.path("stop")

    def compile(self, scheduled: ScheduledOp) -> CompiledOp:
        """Compile one op; raises BuildError."""
        op, wheel = scheduled.spec.name, self._tree.order.signature.label
        build_temp = self._tree.shop.path("objects", op)
        command = self._tree.command("op", op, build_temp, self._stop_file, jobs=scheduled.jobs)
        self._reporter.emit(OpStarted(wheel=wheel, op=op, total=self._total))
        try:
            completed = self._tree.shop.run(f"op {op}", command)
        except BuildError as error:
            if not self._is_stopped.is_set():
                self._reporter.emit(OpFinished(wheel=wheel, op=op, is_ok=False, elapsed_s=0.0, text=error.message))
            raise
        elapsed_s = completed.elapsed_s
        self._reporter.emit(OpFinished(wheel=wheel, op=op, is_ok=True, elapsed_s=elapsed_s))
        return CompiledOp(op=op, sha256=result_of(completed)["sha256"], compile_s=elapsed_s)

    def stop(self) -> None:
        """End the compilers that run; build_ops.py waits for the file."""
        self._is_stopped.set()
        with contextlib.suppress(DsdeployError):  # a lost connection has ended them
            self._tree.shop.remote.put(b"", self._stop_file)
