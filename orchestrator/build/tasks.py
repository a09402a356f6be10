"""Turns the commands of ops into tasks: each object is made once, whoever uses it, and libraries after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.build.commands import Captured, CompileJob
from orchestrator.model.ops import OpSpec
from orchestrator.ports import CompileHistory

_LINK_CPU_S = 1.0
_LINK_MEMORY_BYTES = 300_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of a compiler or linker."""

    label: str
    """For people: the source's path, or the library's."""
    argv: tuple[str, ...]
    target: str
    """The object or library that it writes, relative to the tree's root."""
    ops: tuple[str, ...]
    """The ops that use the target."""
    sources: tuple[str, ...] = ()
    """A link: the objects that must be there first; a compilation: none."""
    cpu_s: float
    """Expected."""
    memory_bytes: int
    """Expected peak."""
    history_key: str | None = None
    """Under what its time is remembered; None: it is not worth it."""
    is_retry: bool = False

    @property
    def is_link(self) -> bool:
        """Whether it makes a library."""
        return self.history_key is None


def make_tasks(
    captured: Captured, ops: Sequence[str], specs: Sequence[OpSpec], history: CompileHistory
) -> tuple[Task, ...]:
    """Return the tasks that make the libraries of `ops`: first all compilations, then a link for each op.

    Jobs that differ only in where they write are one task: async_io and gds have a dozen in common (DeepSpeed 0.19).
    """
    users: dict[tuple[str, ...], list[tuple[str, CompileJob]]] = {}
    for op in ops:
        for job in captured.ops[op].jobs:
            users.setdefault(job.content, []).append((op, job))
    known = {spec.name: spec for spec in specs}
    compilations = [_compilation(jobs, known, captured, history) for jobs in users.values()]
    made_by = {job.object: jobs[0][1].object for jobs in users.values() for _, job in jobs}
    return (*compilations, *(_link(op, captured, made_by) for op in ops))


def _compilation(
    jobs: Sequence[tuple[str, CompileJob]], specs: Mapping[str, OpSpec], captured: Captured, history: CompileHistory
) -> Task:
    op, job = jobs[0]
    key = " ".join((job.source, *sorted(word for word in job.argv if word.startswith("-gencode"))))
    past = history.recall(key)
    fair_share_s = specs[op].compile_cpu_s / len(captured.ops[op].jobs)
    return Task(
        label=job.source,
        argv=job.argv,
        target=job.object,
        ops=tuple(name for name, _ in jobs),
        cpu_s=past.cpu_s if past else fair_share_s,
        memory_bytes=(past and past.peak_memory_bytes) or specs[op].peak_memory_bytes,
        history_key=key,
    )


def _link(op: str, captured: Captured, made_by: Mapping[str, str]) -> Task:
    commands = captured.ops[op]
    objects = [job.object for job in commands.jobs]
    return Task(
        label=commands.library.rpartition("/")[2],
        argv=tuple(made_by.get(word, word) for word in commands.link),
        target=commands.library,
        ops=(op,),
        sources=tuple(dict.fromkeys(made_by[path] for path in objects)),
        cpu_s=_LINK_CPU_S,
        memory_bytes=_LINK_MEMORY_BYTES,
    )
