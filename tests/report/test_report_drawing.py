from __future__ import annotations

import pytest
from report_samples import drawn

from orchestrator.model.events import (
    BuildStep,
    Event,
    HostFinished,
    HostProgress,
    OpFinished,
    OpStarted,
    SourcesCompiled,
    Stage,
    StageStarted,
)
from orchestrator.report.drawing import MOST_SHOWN, draw_progress, running_words
from orchestrator.report.page import Drawing
from orchestrator.report.progress import Progress, Work, fold

WHEEL = "torch2.13.0+cpu cp311 x86-64-v3"


def display(*events: Event, now_s: float = 31.0, width: int = 100, encoding: str = "utf-8") -> list[str]:
    """The lines drawn at `now_s`, after events that all came at second 0."""
    progress = Progress()
    for event in events:
        progress = fold(progress, event, 0.0)
    text = drawn(Drawing(lambda page: draw_progress(progress, now_s, page)), width=width, encoding=encoding)
    return text.splitlines()


def test_nothing_is_drawn_before_the_first_stage() -> None:
    assert display() == []


def test_a_build_names_its_wheel_its_count_and_the_ops_that_compile() -> None:
    (line,) = display(
        StageStarted(stage=Stage.BUILD, total=1),
        *(OpStarted(wheel=WHEEL, op=op, total=7) for op in ("cpu_adam", "async_io", "cpu_lion")),
        OpFinished(wheel=WHEEL, op="cpu_lion", is_ok=True, elapsed_s=12.0),
    )
    assert line[1:] == f" build  {WHEEL}  1/7  cpu_adam 31 s, async_io 31 s"


def test_a_build_says_how_many_sources_and_minutes_are_left() -> None:
    (line,) = display(
        StageStarted(stage=Stage.BUILD, total=1),
        OpStarted(wheel=WHEEL, op="cpu_adam", total=7),
        SourcesCompiled(wheel=WHEEL, done=34, total=90, left_s=372.0),
        width=140,
    )
    assert line[1:] == f" build  {WHEEL}  0/7  compiling 34 of 90 sources, 6 min left  cpu_adam 31 s"


def test_a_build_whose_compilers_are_done_names_its_step() -> None:
    (line,) = display(
        StageStarted(stage=Stage.BUILD, total=1),
        SourcesCompiled(wheel=WHEEL, done=90, total=90, left_s=0.0),
        BuildStep(wheel=WHEEL, text="wheel"),
    )
    assert line[1:] == f" build  {WHEEL}  wheel  31 s"


def test_a_host_stage_counts_and_names_who_still_works() -> None:
    (line,) = display(
        StageStarted(stage=Stage.STAGE, total=3),
        HostFinished(stage=Stage.STAGE, host="worker-0", is_ok=True),
        HostFinished(stage=Stage.STAGE, host="worker-1", is_ok=False),
        HostProgress(stage=Stage.STAGE, host="worker-2", text="pip"),
    )
    assert line[1:] == " stage  2/3  1 failed  worker-2 pip 31 s  31 s"


def test_a_fan_out_shows_share_rate_and_rest() -> None:
    first, second = display(
        StageStarted(stage=Stage.FAN_OUT, total=2),
        HostProgress(stage=Stage.FAN_OUT, host="worker-0", done_bytes=0, total_bytes=100_000_000),
        HostProgress(stage=Stage.FAN_OUT, host="worker-1", done_bytes=0, total_bytes=100_000_000),
        HostProgress(stage=Stage.FAN_OUT, host="worker-0", done_bytes=50_000_000),
        now_s=5.0,
    )
    assert first[1:].split("  ")[1:] == [
        "█████░░░░░░░░░░░░░░░",
        "25%",
        "50 MB of 200 MB",
        "10 MB/s",
        "15 s left",
    ]
    assert second == "  0 done  1 receiving: worker-0  1 waiting  5.0 s"


def test_a_fan_out_counts_hosts_that_are_done_receiving_waiting_and_failed() -> None:
    told = [(0, 10), (0, 10), (5, 10), (5, 10), (0, 10)]
    lines = display(
        StageStarted(stage=Stage.FAN_OUT, total=7),
        *(
            HostProgress(stage=Stage.FAN_OUT, host=f"worker-{number}", done_bytes=done, total_bytes=total)
            for number, (done, total) in enumerate(told)
        ),
        HostFinished(stage=Stage.FAN_OUT, host="worker-0", is_ok=True),
        HostFinished(stage=Stage.FAN_OUT, host="worker-1", is_ok=False),
    )
    assert lines[1] == "  1 done  2 receiving: worker-[2-3]  3 waiting  1 failed  31 s"


@pytest.mark.parametrize("width", [80, 100, 140])
def test_hundreds_of_hosts_that_receive_take_two_lines_within_the_width(width: int) -> None:
    hosts = [
        HostProgress(stage=Stage.FAN_OUT, host=f"worker-{number}", done_bytes=1, total_bytes=9) for number in range(256)
    ]
    lines = display(StageStarted(stage=Stage.FAN_OUT, total=256), *hosts, width=width)
    assert all(len(line) <= width for line in lines)
    assert lines[1:] == ["  0 done  256 receiving  31 s"]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_hundreds_of_hosts_that_work_take_one_line_within_the_width(width: int) -> None:
    hosts = [HostProgress(stage=Stage.VERIFY, host=f"worker-{number}") for number in range(256)]
    (line,) = display(StageStarted(stage=Stage.VERIFY, total=256), *hosts, width=width)
    assert len(line) <= width
    shown = line.count("worker-")
    assert 1 < shown <= MOST_SHOWN
    assert f"+{256 - shown} more" in line


def test_many_wheels_are_bounded_too() -> None:
    starts = [OpStarted(wheel=f"wheel-{number}", op="cpu_adam", total=1) for number in range(20)]
    lines = display(StageStarted(stage=Stage.BUILD, total=20), *starts)
    assert len(lines) == MOST_SHOWN + 1
    assert lines[-1].strip() == "+12 more wheels"


def test_without_unicode_bar_and_spinner_are_ascii() -> None:
    lines = display(
        StageStarted(stage=Stage.FAN_OUT, total=1),
        HostProgress(stage=Stage.FAN_OUT, host="worker-0", done_bytes=5, total_bytes=10),
        encoding="ascii",
    )
    assert lines[0][0] in "|/-\\"
    assert "##########.........." in lines[0]


def test_the_oldest_works_are_named_first_and_one_is_named_however_narrow_it_is() -> None:
    running = {"worker-0": Work(started_s=0.0, text="pip"), "worker-1": Work(started_s=20.0)}
    assert running_words(running, 31.0, 80) == "worker-0 pip 31 s, worker-1 11 s"
    assert running_words(running, 31.0, 5) == "worker-0 pip 31 s, +1 more"
    assert running_words({}, 31.0, 80) == ""
