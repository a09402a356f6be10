"""Which op starts when, and how many compilers run."""

from __future__ import annotations

from build_parts import make_spec
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.build.schedule import make_schedule

GIB = 1 << 30
SPECS = st.lists(
    st.builds(
        make_spec,
        st.text("abcdef", min_size=1),
        compile_cpu_s=st.floats(1, 1000),
        peak_memory_bytes=st.integers(GIB // 2, 4 * GIB),
    ),
    unique_by=lambda spec: spec.name,
    max_size=12,
)


def test_the_longest_op_starts_first() -> None:
    specs = [
        make_spec("short", compile_cpu_s=10),
        make_spec("long", compile_cpu_s=90),
        make_spec("mid", compile_cpu_s=30),
    ]
    schedule = make_schedule(specs, cores=2, memory_bytes=64 * GIB)
    assert [op.spec.name for op in schedule.ops] == ["long", "mid", "short"]


def test_two_cores_compile_two_ops_with_one_compiler_each() -> None:
    schedule = make_schedule([make_spec(name) for name in "abc"], cores=2, memory_bytes=64 * GIB)
    assert schedule.at_once == 2
    assert {op.jobs for op in schedule.ops} == {1}


def test_cores_that_are_left_over_go_to_the_long_ops() -> None:
    specs = [make_spec("long", compile_cpu_s=90), make_spec("short", compile_cpu_s=10)]
    schedule = make_schedule(specs, cores=20, memory_bytes=64 * GIB)
    assert [op.jobs for op in schedule.ops] == [17, 2]


def test_a_compiler_that_is_left_over_goes_to_one_op_only() -> None:
    specs = [make_spec("long", compile_cpu_s=98), make_spec("a", compile_cpu_s=1), make_spec("b", compile_cpu_s=1)]
    assert sum(op.jobs for op in make_schedule(specs, cores=3, memory_bytes=64 * GIB).ops) == 3


def test_memory_limits_the_compilers() -> None:
    specs = [make_spec(name, peak_memory_bytes=3 * GIB) for name in "abcd"]
    assert make_schedule(specs, cores=16, memory_bytes=7 * GIB).at_once == 2


def test_one_op_is_compiled_however_little_memory_there_is() -> None:
    schedule = make_schedule([make_spec("huge", peak_memory_bytes=8 * GIB)], cores=4, memory_bytes=0)
    assert (schedule.at_once, schedule.ops[0].jobs) == (1, 1)


@given(specs=SPECS, cores=st.integers(1, 128), memory_bytes=st.integers(0, 512 * GIB))
def test_every_op_is_scheduled_once_and_no_limit_is_broken(specs: list, cores: int, memory_bytes: int) -> None:  # type: ignore[type-arg]
    schedule = make_schedule(specs, cores=cores, memory_bytes=memory_bytes)
    assert sorted(op.spec.name for op in schedule.ops) == sorted(spec.name for spec in specs)
    assert 1 <= schedule.at_once <= max(1, min(cores, len(specs)))
    compilers = sum(sorted((op.jobs for op in schedule.ops), reverse=True)[: schedule.at_once])
    assert compilers <= cores
    peak_bytes = max((spec.peak_memory_bytes for spec in specs), default=0)
    assert compilers <= 1 or compilers * peak_bytes <= memory_bytes
