from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import make_fan_out_report

from orchestrator.model.events import (
    BuildStep,
    Event,
    FanOutReported,
    HostFinished,
    HostProgress,
    LogLine,
    Note,
    OpFinished,
    OpReused,
    OpStarted,
    SourcesCompiled,
    Stage,
    StageFinished,
    StageStarted,
)
from orchestrator.report.progress import Progress, SourceCount, StageProgress, fold, fold_works

WHEEL = "torch2.13.0+cpu cp311 x86-64-v3"


def folded(*events: Event, start: Progress | None = None) -> Progress:
    """The state after the events, which come one second apart from second 0 on."""
    progress = start or Progress()
    for second, event in enumerate(events):
        progress = fold(progress, event, float(second))
    return progress


def stage_after(stage: Stage, events: Sequence[Event]) -> StageProgress:
    return folded(*events).stages[stage]


def test_a_stage_counts_hosts_that_ended_and_names_those_that_failed() -> None:
    stage = stage_after(
        Stage.PROBE,
        [
            StageStarted(stage=Stage.PROBE, total=3),
            HostFinished(stage=Stage.PROBE, host="a", is_ok=True),
            HostFinished(stage=Stage.PROBE, host="b", is_ok=False, text="refused"),
        ],
    )
    assert (stage.total, stage.finished, stage.failed, stage.elapsed_s) == (3, 2, ("b",), None)


def test_a_host_works_from_its_first_progress_until_it_ends() -> None:
    begin: list[Event] = [
        StageStarted(stage=Stage.STAGE, total=2),
        HostProgress(stage=Stage.STAGE, host="a", text="checking"),
        HostProgress(stage=Stage.STAGE, host="b"),
        HostProgress(stage=Stage.STAGE, host="a", text="pip"),
    ]
    works = stage_after(Stage.STAGE, begin).running
    assert [(host, work.started_s, work.text) for host, work in works.items()] == [("a", 1.0, "pip"), ("b", 2.0, "")]
    after = stage_after(Stage.STAGE, [*begin, HostFinished(stage=Stage.STAGE, host="a", is_ok=True)])
    assert list(after.running) == ["b"]


def test_bytes_of_hosts_that_ended_stay_counted_and_those_of_failed_hosts_do_not() -> None:
    stage = stage_after(
        Stage.FAN_OUT,
        [
            StageStarted(stage=Stage.FAN_OUT, total=3),
            *(HostProgress(stage=Stage.FAN_OUT, host=host, done_bytes=50, total_bytes=100) for host in "abc"),
            HostFinished(stage=Stage.FAN_OUT, host="a", is_ok=True),
            HostFinished(stage=Stage.FAN_OUT, host="b", is_ok=False),
        ],
    )
    assert (stage.done_bytes, stage.total_bytes, stage.arrived_bytes) == (150, 200, 100)


def test_rate_and_rest_count_from_the_first_byte() -> None:
    stage = stage_after(
        Stage.FAN_OUT,
        [
            StageStarted(stage=Stage.FAN_OUT, total=1),
            HostProgress(stage=Stage.FAN_OUT, host="a", text="starting"),
            HostProgress(stage=Stage.FAN_OUT, host="a", done_bytes=0, total_bytes=100),
            HostProgress(stage=Stage.FAN_OUT, host="a", done_bytes=20),
        ],
    )
    assert stage.rate(4.0) == 10.0
    assert stage.remaining_s(4.0) == 8.0


def test_a_rate_forgets_what_was_long_ago() -> None:
    progress = folded(StageStarted(stage=Stage.FAN_OUT, total=1))
    for second in range(60):  # ten times slower from second 30 on
        done = 100 * min(second, 30) + 10 * max(second - 30, 0)
        event = HostProgress(stage=Stage.FAN_OUT, host="a", done_bytes=done, total_bytes=3500)
        progress = fold(progress, event, float(second))
    stage = progress.stages[Stage.FAN_OUT]
    assert stage.rate(59.0) == 10.0
    assert stage.remaining_s(59.0) == 21.0
    assert len(stage.readings) < 10


def test_a_rate_never_counts_backwards_when_a_host_fails() -> None:
    stage = stage_after(
        Stage.FAN_OUT,
        [
            HostProgress(stage=Stage.FAN_OUT, host="a", done_bytes=50, total_bytes=100),
            HostFinished(stage=Stage.FAN_OUT, host="a", is_ok=False),
        ],
    )
    assert stage.rate(3.0) == 0.0


def test_hosts_receive_from_their_first_byte_until_they_end() -> None:
    events: list[Event] = [
        StageStarted(stage=Stage.FAN_OUT, total=4),
        *(HostProgress(stage=Stage.FAN_OUT, host=host, done_bytes=0, total_bytes=9) for host in "abc"),
        *(HostProgress(stage=Stage.FAN_OUT, host=host, done_bytes=1, total_bytes=9) for host in "ab"),
        HostFinished(stage=Stage.FAN_OUT, host="a", is_ok=True),
    ]
    assert stage_after(Stage.FAN_OUT, events).receiving == ("b",)


def test_what_a_fan_out_took_is_known_once_it_was_reported() -> None:
    start = StageStarted(stage=Stage.FAN_OUT, total=4)
    report = make_fan_out_report()
    assert stage_after(Stage.FAN_OUT, [start]).report is None
    assert stage_after(Stage.FAN_OUT, [start, FanOutReported(report=report)]).report == report


WORKS = st.builds(
    HostProgress,
    stage=st.sampled_from([Stage.FAN_OUT, Stage.VERIFY]),
    host=st.sampled_from("abc"),
    text=st.sampled_from(["", "pip"]),
    done_bytes=st.none() | st.integers(0, 9),
    total_bytes=st.none() | st.just(9),
)


@given(events=st.lists(WORKS))
def test_folding_many_at_once_leaves_every_host_as_one_by_one(events: list[HostProgress]) -> None:
    one_by_one = Progress()
    for event in events:
        one_by_one = fold(one_by_one, event, 1.0)
    at_once = fold_works(Progress(), events, 1.0)
    assert {stage: each.running for stage, each in at_once.stages.items()} == {
        stage: each.running for stage, each in one_by_one.stages.items()
    }


def test_there_is_no_rate_and_no_rest_before_the_first_byte() -> None:
    stage = stage_after(Stage.FAN_OUT, [StageStarted(stage=Stage.FAN_OUT, total=1)])
    assert stage.rate(5.0) == 0.0
    assert stage.remaining_s(5.0) is None


def test_a_wheel_counts_its_ops_and_knows_which_compile_since_when() -> None:
    stage = stage_after(
        Stage.BUILD,
        [
            StageStarted(stage=Stage.BUILD, total=1),
            BuildStep(wheel=WHEEL, text="environment"),
            OpStarted(wheel=WHEEL, op="cpu_adam", total=7),
            OpStarted(wheel=WHEEL, op="async_io", total=7),
            OpFinished(wheel=WHEEL, op="cpu_adam", is_ok=True, elapsed_s=31.0),
        ],
    )
    wheel = stage.wheels[WHEEL]
    assert (wheel.step, wheel.finished, wheel.total, stage.op_count) == ("environment", 1, 7, 1)
    assert {op: work.started_s for op, work in wheel.running.items()} == {"async_io": 3.0}


def test_a_wheel_that_ended_is_no_longer_drawn_and_its_ops_stay_counted() -> None:
    stage = stage_after(
        Stage.BUILD,
        [
            StageStarted(stage=Stage.BUILD, total=1),
            OpStarted(wheel=WHEEL, op="cpu_adam", total=1),
            OpFinished(wheel=WHEEL, op="cpu_adam", is_ok=True, elapsed_s=31.0),
            HostFinished(stage=Stage.BUILD, host=WHEEL, is_ok=True),
        ],
    )
    assert (dict(stage.wheels), stage.finished, stage.op_count) == ({}, 1, 1)


def test_a_wheel_counts_reused_ops_as_there_and_apart() -> None:
    stage = stage_after(Stage.BUILD, [OpReused(wheel=WHEEL, op=op, total=3) for op in ("cpu_adam", "gds")])
    assert (stage.wheels[WHEEL].finished, stage.wheels[WHEEL].total) == (2, 3)
    assert (stage.op_count, stage.reused_count) == (0, 2)


def test_a_wheel_knows_how_far_its_compilers_are() -> None:
    said = [SourcesCompiled(wheel=WHEEL, done=done, total=90, left_s=None) for done in (33, 34)]
    assert stage_after(Stage.BUILD, said).wheels[WHEEL].sources == SourceCount(done=34, total=90, left_s=None)


def test_a_failed_op_is_neither_there_nor_compiled() -> None:
    stage = stage_after(Stage.BUILD, [OpFinished(wheel=WHEEL, op="gds", is_ok=False, elapsed_s=1.0)])
    assert (stage.wheels[WHEEL].finished, stage.op_count) == (0, 0)


def test_a_finished_stage_runs_no_longer() -> None:
    progress = folded(
        StageStarted(stage=Stage.PROBE, total=1),
        StageStarted(stage=Stage.BUILD, total=1),
        StageFinished(stage=Stage.PROBE, elapsed_s=0.4),
    )
    assert progress.stages[Stage.PROBE].elapsed_s == 0.4
    assert [stage.stage for stage in progress.running] == [Stage.BUILD]


@pytest.mark.parametrize("stage", [Stage.LOCK, Stage.RECOVER])
def test_a_recovery_ends_what_was_cut_off(stage: Stage) -> None:
    progress = folded(
        StageStarted(stage=Stage.STAGE, total=2),
        StageFinished(stage=Stage.STAGE, elapsed_s=1.0),
        StageStarted(stage=Stage.ACTIVATE, total=2),
        StageStarted(stage=stage, total=2),
    )
    assert [each.stage for each in progress.running] == [stage]
    assert list(progress.stages) == [Stage.STAGE, stage]


def test_a_stage_that_starts_again_starts_from_nothing() -> None:
    progress = folded(
        StageStarted(stage=Stage.PROBE, total=1),
        HostFinished(stage=Stage.PROBE, host="a", is_ok=False),
        StageStarted(stage=Stage.PROBE, total=5),
    )
    assert progress.stages[Stage.PROBE] == StageProgress(stage=Stage.PROBE, total=5, started_s=2.0)


def test_notes_and_log_lines_change_nothing() -> None:
    before = folded(StageStarted(stage=Stage.PROBE, total=1))
    assert folded(Note(text="x"), LogLine(source="ssh", text="y"), start=before) is before


def test_folding_leaves_the_state_before_as_it_was() -> None:
    before = folded(StageStarted(stage=Stage.PROBE, total=1))
    fold(before, HostFinished(stage=Stage.PROBE, host="a", is_ok=True), 1.0)
    assert before.stages[Stage.PROBE].finished == 0
