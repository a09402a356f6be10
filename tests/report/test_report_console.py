from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from report_samples import make_fan_out_report
from rich.console import Console

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
    TopologyPlanned,
)
from orchestrator.model.fanout import Topology
from orchestrator.report.console import ConsoleReporter, ErrorConsole
from orchestrator.report.lines import Verbosity
from orchestrator.report.wording import clean

WHEEL = "torch2.13.0+cpu cp311 x86-64-v3"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

RUN: tuple[Event, ...] = (
    StageStarted(stage=Stage.PROBE, total=4),
    HostFinished(stage=Stage.PROBE, host="worker-0", is_ok=True),
    HostFinished(stage=Stage.PROBE, host="worker-1", is_ok=False, text="timed out"),
    HostFinished(stage=Stage.PROBE, host="worker-2", is_ok=False, text="worker-2: timed out"),
    HostFinished(stage=Stage.PROBE, host="worker-3", is_ok=True),
    StageFinished(stage=Stage.PROBE, elapsed_s=0.44),
    Note(text="[red]worker-[0-3] share a home[/red]", hint="copied once"),
    StageStarted(stage=Stage.BUILD, total=1),
    BuildStep(wheel=WHEEL, text="environment"),
    OpReused(wheel=WHEEL, op="pin_memory", total=3),
    OpStarted(wheel=WHEEL, op="cpu_adam", total=3),
    OpStarted(wheel=WHEEL, op="async_io", total=3),
    SourcesCompiled(wheel=WHEEL, done=2, total=9, left_s=370.0),
    OpFinished(wheel=WHEEL, op="cpu_adam", is_ok=True, elapsed_s=31.2),
    LogLine(source="ninja", text="[1/2] c++"),
    OpFinished(wheel=WHEEL, op="async_io", is_ok=False, elapsed_s=12.0, text="aio.cpp:3: error\nlibaio.h"),
    HostFinished(stage=Stage.BUILD, host=WHEEL, is_ok=True),
    StageFinished(stage=Stage.BUILD, elapsed_s=284.0),
    StageStarted(stage=Stage.FAN_OUT, total=1),
    HostProgress(stage=Stage.FAN_OUT, host="worker-0", done_bytes=0, total_bytes=2_700_000),
    HostFinished(stage=Stage.FAN_OUT, host="worker-0", is_ok=True),
    StageFinished(stage=Stage.FAN_OUT, elapsed_s=1.0),
)
FAILED_OP = [f"✗ build  {WHEEL}  async_io failed after 12 s: aio.cpp:3: error", "  libaio.h"]
NOTE = ["! [red]worker-[0-3] share a home[/red]", "  hint: copied once"]
ENDS = [
    "✗ probe  2 of 4 hosts  0.4 s  failed: worker-[1-2]",
    "✓ build  1 wheel  1 op  1 op reused  4 min 44 s",
    "✓ fan out  1 host  2.7 MB  1.0 s",
]


def make_log(*, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    return Console(file=io.TextIOWrapper(raw, encoding=encoding), width=40), raw


def make_terminal() -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    environment = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    return Console(file=screen, force_terminal=True, force_interactive=True, _environ=environment), screen


def logged(verbosity: Verbosity, *, encoding: str = "utf-8") -> list[str]:
    console, raw = make_log(encoding=encoding)
    with ConsoleReporter(console, verbosity=verbosity) as reporter:
        for event in RUN:
            reporter.emit(event)
    return raw.getvalue().decode(encoding).splitlines()


def test_a_log_has_a_line_for_stages_ops_steps_failures_and_notes() -> None:
    assert logged(Verbosity.NORMAL) == [
        "· probe  4 hosts",
        "✗ probe  worker-1: timed out",
        "✗ probe  worker-2: timed out",
        ENDS[0],
        *NOTE,
        "· build  1 wheel",
        f"· build  {WHEEL}  environment",
        f"✓ build  {WHEEL}  1/3  pin_memory reused",
        f"✓ build  {WHEEL}  2/3  cpu_adam 31 s  2 of 9 sources, 6 min left",
        *FAILED_OP,
        ENDS[1],
        "· fan out  1 host",
        ENDS[2],
    ]


def test_quiet_tells_failures_and_notes_only() -> None:
    assert logged(Verbosity.QUIET) == [
        "✗ probe  worker-1: timed out",
        "✗ probe  worker-2: timed out",
        *NOTE,
        *FAILED_OP,
    ]


def test_debug_adds_log_lines_and_nothing_else() -> None:
    debug = logged(Verbosity.DEBUG)
    assert "ninja: [1/2] c++" in debug
    assert [line for line in debug if not line.startswith("ninja: ")] == logged(Verbosity.NORMAL)


def test_a_log_without_unicode_says_ok_and_fail() -> None:
    lines = logged(Verbosity.NORMAL, encoding="ascii")
    assert "ok build  1 wheel  1 op  1 op reused  4 min 44 s" in lines
    assert "FAIL probe  worker-1: timed out" in lines


def test_remote_text_beyond_the_encoding_is_replaced_instead_of_failing() -> None:
    console, raw = make_log(encoding="ascii")
    ConsoleReporter(console).emit(Note(text="error: \N{LEFT SINGLE QUOTATION MARK}x\N{RIGHT SINGLE QUOTATION MARK}"))
    assert raw.getvalue() == b"! error: ?x?\n"


def reported(*events: Event, shows_topology: bool = False) -> list[str]:
    """The lines that a log has of these events alone."""
    console, raw = make_log()
    reporter = ConsoleReporter(console, shows_topology=shows_topology)
    for event in events:
        reporter.emit(event)
    return raw.getvalue().decode().splitlines()


def test_the_last_line_of_a_fan_out_says_what_it_took() -> None:
    lines = reported(
        StageStarted(stage=Stage.FAN_OUT, total=32),
        HostFinished(stage=Stage.FAN_OUT, host="worker-9", is_ok=False, text="gone"),
        FanOutReported(report=make_fan_out_report(fallen_back=("worker-3", "worker-4"))),
        StageFinished(stage=Stage.FAN_OUT, elapsed_s=3.9),
    )
    took = "20 MB from the controller, 620 MB between hosts, 1.2 times the ideal"
    assert lines[2:] == [
        f"✗ fan out  31 of 32 hosts  {took}, fell back to the controller: worker-[3-4]  3.9 s  failed: worker-9"
    ]


def test_a_fan_out_of_what_hosts_hold_already_says_so() -> None:
    nothing = make_fan_out_report(lacked_bytes=0, controller_bytes=0, peer_bytes=0, fastest_bytes_per_s=None)
    lines = reported(
        StageStarted(stage=Stage.FAN_OUT, total=2),
        FanOutReported(report=nothing),
        StageFinished(stage=Stage.FAN_OUT, elapsed_s=0.3),
    )
    assert lines[1:] == ["✓ fan out  2 hosts  nothing was lacking  0.3 s"]


def test_who_takes_from_whom_is_drawn_when_asked() -> None:
    planned = TopologyPlanned(topology=Topology(parents={"worker-0": None, "worker-1": "worker-0"}))
    assert reported(planned) == []
    assert reported(planned, shows_topology=True) == ["controller", "└── worker-[0-1] one after another"]


def test_no_event_is_forgotten_however_many_hosts_tell_how_far_they_are() -> None:
    console, _ = make_log()
    reporter = ConsoleReporter(console)
    for done in range(3):
        for number in range(1000):
            reporter.emit(HostProgress(stage=Stage.FAN_OUT, host=f"worker-{number}", done_bytes=done, total_bytes=2))
    stage = reporter.progress.stages[Stage.FAN_OUT]
    assert (len(stage.running), stage.done_bytes, stage.total_bytes) == (1000, 2000, 2000)


def test_a_terminal_keeps_one_line_per_stage_with_failed_ops_and_notes() -> None:
    console, screen = make_terminal()
    with ConsoleReporter(console) as reporter:
        for event in RUN:
            reporter.emit(event)
    drawn = clean(screen.getvalue().replace("\r", "\n")).splitlines()
    kept = [line for line in drawn if line.startswith(("✓", "✗", "!", "  hint"))]
    assert kept == [ENDS[0], *NOTE, FAILED_OP[0], *ENDS[1:]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_terminal_gets_its_cursor_back_whatever_ends_the_run(error: type[BaseException]) -> None:
    console, screen = make_terminal()

    def fail() -> None:
        with ConsoleReporter(console) as reporter:
            reporter.emit(StageStarted(stage=Stage.PROBE, total=3))
            raise error

    with pytest.raises(error):
        fail()
    assert screen.getvalue().count(HIDE_CURSOR) == 1
    assert screen.getvalue().rindex(SHOW_CURSOR) > screen.getvalue().rindex(HIDE_CURSOR)


def test_a_quiet_terminal_has_no_live_display() -> None:
    console, screen = make_terminal()
    with ConsoleReporter(console, verbosity=Verbosity.QUIET) as reporter:
        reporter.emit(StageStarted(stage=Stage.PROBE, total=3))
    assert screen.getvalue() == ""


def test_nothing_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with ConsoleReporter(ErrorConsole(), verbosity=Verbosity.DEBUG) as reporter:
        for event in RUN:
            reporter.emit(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ENDS[1] in captured.err


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let Python change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("make_console", [make_log, make_terminal])
def test_events_of_many_threads_all_count(make_console: Callable[[], tuple[Console, object]]) -> None:
    threads, each = 8, 50
    console, _ = make_console()

    def finish(thread: int) -> None:
        for number in range(each):
            host = f"host-{thread}-{number}"
            reporter.emit(HostProgress(stage=Stage.VERIFY, host=host, text="loading"))
            reporter.emit(HostFinished(stage=Stage.VERIFY, host=host, is_ok=number % 2 == 0, text="crashed"))

    with ConsoleReporter(console) as reporter, ThreadPoolExecutor(threads) as pool:
        reporter.emit(StageStarted(stage=Stage.VERIFY, total=threads * each))
        list(pool.map(finish, range(threads)))
    stage = reporter.progress.stages[Stage.VERIFY]
    assert (stage.finished, len(set(stage.failed)), dict(stage.running)) == (threads * each, threads * each // 2, {})


def test_lines_of_many_threads_stay_whole() -> None:
    console, raw = make_log()
    reporter = ConsoleReporter(console)
    texts = [f"note {number} " + "x" * 200 for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: reporter.emit(Note(text=text)), texts))
    assert sorted(raw.getvalue().decode().splitlines()) == sorted(f"! {text}" for text in texts)


def test_a_closed_standard_error_stops_neither_the_run_nor_standard_output() -> None:
    program = """
from orchestrator.model.events import Note
from orchestrator.report.console import ConsoleReporter, ErrorConsole
reporter = ConsoleReporter(ErrorConsole())
reporter.emit(Note(text="unread"))
reporter.emit(Note(text="unread too"))
print("the document", flush=True)
"""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=writing, timeout=60, check=False
    )
    os.close(writing)
    assert ended.stdout == b"the document\n"


def test_a_full_disk_under_the_log_does_not_stop_the_run() -> None:
    reporter = None
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        reporter = ConsoleReporter(Console(file=full))
        reporter.emit(StageStarted(stage=Stage.PROBE, total=3))
        reporter.emit(HostFinished(stage=Stage.PROBE, host="a", is_ok=True))
    assert reporter is not None
    assert reporter.progress.stages[Stage.PROBE].finished == 1
