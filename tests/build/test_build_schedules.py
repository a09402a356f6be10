"""Which compiler starts when, and how many run beside each other."""

from __future__ import annotations

from build_parts import make_spec, make_task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.build.schedule import Budget, choose_next, count_compilers, in_order, time_left_s
from orchestrator.build.tasks import Task

GIB = 1 << 30
AMPLE = Budget(cores=4, memory_bytes=64 * GIB)
TASKS = st.lists(
    st.builds(
        make_task,
        st.text("abcdef", min_size=1),
        cpu_s=st.floats(0.1, 1000),
        memory_bytes=st.integers(GIB // 2, 8 * GIB),
    ),
    unique_by=lambda task: task.label,
    max_size=12,
)


def test_the_longest_starts_first() -> None:
    tasks = [make_task("short", cpu_s=10), make_task("long", cpu_s=90), make_task("mid", cpu_s=30)]
    assert [task.label for task in in_order(tasks)] == ["long", "mid", "short"]


def test_a_link_comes_before_any_source_once_its_objects_are_there() -> None:
    link, source = make_link("op", sources=("a.o",)), make_task("b", cpu_s=500)
    waiting = in_order([source, link])
    assert choose_next(waiting, [], {"a.o"}, AMPLE) == link
    assert choose_next(waiting, [], (), AMPLE) == source


def test_no_more_compilers_run_than_there_are_cores() -> None:
    running = [make_task(name) for name in "abcd"]
    assert choose_next([make_task("e")], running, (), AMPLE) is None


def test_a_hungry_compiler_waits_and_a_frugal_one_goes_first() -> None:
    budget = Budget(cores=4, memory_bytes=6 * GIB)
    running = [make_task("a", memory_bytes=3 * GIB)]
    hungry, frugal = make_task("b", cpu_s=90, memory_bytes=4 * GIB), make_task("c", cpu_s=9, memory_bytes=2 * GIB)
    assert choose_next([hungry, frugal], running, (), budget) == frugal
    assert choose_next([hungry], running, (), budget) is None


def test_one_compiler_always_runs_however_little_memory_there_is() -> None:
    hungry = make_task("a", memory_bytes=8 * GIB)
    assert choose_next([hungry], [], (), Budget(cores=4, memory_bytes=0)) == hungry


def test_after_a_killed_compiler_half_the_jobs_run_in_half_the_memory() -> None:
    assert AMPLE.halved() == Budget(cores=2, memory_bytes=32 * GIB)
    assert AMPLE.halved().halved().halved().cores == 1


def test_what_is_left_is_shared_by_the_cores() -> None:
    assert time_left_s([make_task("a", cpu_s=30), make_task("b", cpu_s=10)], AMPLE) == 10


def test_setup_compiles_with_as_many_jobs_as_the_hungriest_op_allows() -> None:
    specs = [make_spec("a", peak_memory_bytes=3 * GIB), make_spec("b", peak_memory_bytes=GIB)]
    assert count_compilers(specs, cores=16, memory_bytes=7 * GIB) == 2
    assert count_compilers(specs, cores=1, memory_bytes=64 * GIB) == 1
    assert count_compilers([], cores=4, memory_bytes=GIB) == 4


@given(TASKS, st.integers(1, 8), st.integers(0, 16 * GIB))
def test_every_task_runs_once_within_the_budget(tasks: list[Task], cores: int, memory_bytes: int) -> None:
    budget = Budget(cores=cores, memory_bytes=memory_bytes)
    waiting, running, done = list(in_order(tasks)), list[Task](), list[Task]()
    while waiting or running:
        while task := choose_next(waiting, running, (), budget):
            waiting.remove(task)
            running.append(task)
        assert 0 < len(running) <= cores
        assert len(running) == 1 or sum(task.memory_bytes for task in running) <= memory_bytes
        done.append(running.pop(0))
    assert sorted(task.label for task in done) == sorted(task.label for task in tasks)


def make_link(op: str, *, sources: tuple[str, ...]) -> Task:
    return make_task(op, sources=sources, history_key=None, cpu_s=1.0)
