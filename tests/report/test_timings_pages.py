from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from report_samples import make_span, make_timings

from orchestrator.model.timings import Span, StageTime
from orchestrator.report.timings.lanes import lay_out, memory_steps, ticks
from orchestrator.report.timings.page import timings_page
from orchestrator.report.timings.sums import Kind, OpSum, cores_used, kind_of, sum_ops, sum_stages
from orchestrator.report.timings.timeline import describe

GIB = 1024**3
UNCLOSED = {"meta"}

moments = st.integers(0, 40).map(float)
spans_of_any_kind = st.lists(
    st.builds(lambda start, length: make_span(start_s=start, elapsed_s=length), moments, moments)
)


def end(span: Span) -> float:
    return span.start_s + span.elapsed_s


@given(spans_of_any_kind)
def test_nothing_on_a_lane_begins_before_the_run_before_it_ended(spans: list[Span]) -> None:
    for lane in lay_out(spans):
        assert all(end(first) <= second.start_s for first, second in itertools.pairwise(lane))


@given(spans_of_any_kind)
def test_every_run_is_on_one_lane(spans: list[Span]) -> None:
    laid = [span for lane in lay_out(spans) for span in lane]
    assert sorted(map(repr, laid)) == sorted(map(repr, spans))


@given(st.lists(st.builds(lambda start, length: make_span(start_s=start, elapsed_s=length + 1), moments, moments)))
def test_there_are_as_many_lanes_as_ran_at_once(spans: list[Span]) -> None:
    at_once = [sum(other.start_s <= span.start_s < end(other) for other in spans) for span in spans]
    assert len(lay_out(spans)) == max(at_once, default=0)


def test_runs_that_follow_each_other_share_a_lane() -> None:
    first, beside, next_one = (make_span(start_s=start, elapsed_s=10.0) for start in (0.0, 2.0, 10.0))
    assert lay_out([next_one, beside, first]) == ((first, next_one), (beside,))


def test_memory_is_that_of_all_that_runs_at_a_moment() -> None:
    first = make_span(start_s=0.0, elapsed_s=10.0, peak_memory_bytes=GIB)
    second = make_span(start_s=5.0, elapsed_s=10.0, peak_memory_bytes=2 * GIB)
    assert memory_steps([first, second]) == ((0.0, GIB), (5.0, 3 * GIB), (10.0, 2 * GIB), (15.0, 0))


@given(st.floats(0.0, 100_000.0))
def test_an_axis_has_few_marks_that_begin_at_nought(elapsed_s: float) -> None:
    marks = ticks(elapsed_s)
    assert marks[0] == 0
    assert marks[-1] <= elapsed_s
    assert len(marks) <= 14


def test_what_ran_is_known_from_the_source() -> None:
    runs = [make_span("a.cu"), make_span("a.cpp"), make_span("a.so", is_link=True)]
    assert [kind_of(run) for run in runs] == [Kind.NVCC, Kind.CXX, Kind.LINK]


def test_an_op_is_charged_for_its_own_runs_and_counts_what_it_shares() -> None:
    spans = [
        make_span(op="gds", cpu_s=3.0, peak_memory_bytes=GIB),
        make_span(op="async_io", cpu_s=8.0, shared_with=("gds",)),
        make_span(op="gds", cpu_s=3.0, is_retry=True),
        make_span(op="gds", cpu_s=0.5, is_link=True),
    ]
    assert sum_ops(spans) == (
        OpSum(op="async_io", own=1, shared=0, cpu_s=8.0, peak_memory_bytes=None),
        OpSum(op="gds", own=1, shared=1, cpu_s=6.5, peak_memory_bytes=GIB),
    )


def test_stages_of_several_archs_are_one_sum_and_the_rest_is_told() -> None:
    stages = (
        StageTime(name="cicc", gpu_arch="compute_80", elapsed_s=2.0),
        StageTime(name="cicc", gpu_arch="compute_90", elapsed_s=3.0),
        StageTime(name="ptxas", gpu_arch="sm_90", elapsed_s=1.0),
    )
    assert sum_stages(make_span("a.cu", elapsed_s=10.0, stages=stages)) == {"cicc": 5.0, "ptxas": 1.0, "": 4.0}


def test_cores_are_counted_from_the_first_compiler_to_the_last() -> None:
    spans = [make_span(start_s=20.0, elapsed_s=10.0, cpu_s=9.0), make_span(start_s=20.0, elapsed_s=5.0, cpu_s=5.0)]
    assert cores_used(make_timings(*spans)) == 1.4
    assert cores_used(make_timings()) == 0.0


def test_hovering_over_a_run_tells_all_of_it() -> None:
    told = describe(
        make_span(
            "csrc/q.cu",
            op="quantizer",
            start_s=245.0,
            elapsed_s=100.0,
            cpu_s=95.0,
            peak_memory_bytes=3 * GIB,
            shared_with=("gds",),
            is_retry=True,
            stages=(StageTime(name="cicc", gpu_arch="compute_90", elapsed_s=80.0),),
        )
    ).splitlines()
    assert told[:4] == [
        "csrc/q.cu",
        "nvcc for quantizer, gds",
        "1 min 40 s from 4:05, 1 min 35 s of CPU",
        "3 GiB of memory",
    ]
    assert "killed" in told[4]
    assert told[5] == "  cicc compute_90  1 min 20 s"


class Checked(HTMLParser):
    """Fails where a tag is closed that was not opened last; remembers addresses and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in UNCLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of_class(self, name: str) -> int:
        """How many tags have a class."""
        return sum(name in (attributes.get("class") or "").split() for _, attributes in self.tags)


def many(number: int) -> list[Span]:
    return [
        make_span(f"csrc/source_{index}.cu", op=f"op_{index % 19}", start_s=index // 2 * 4.0, elapsed_s=4.0)
        for index in range(number)
    ]


def test_a_page_is_whole_and_has_a_mark_for_every_run() -> None:
    spans = many(500)
    page = Checked(
        timings_page([make_timings(*spans, elapsed_s=1010.0, steps=(StageTime(name="wheel", elapsed_s=3.0),))])
    )
    assert page.open == []
    assert (page.of_class("run"), page.of_class("lane")) == (500, 2)
    assert all(span.source in page.text for span in spans)
    assert "wheel" in page.text


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    page = timings_page([make_timings(*many(3))])
    names = {tag for tag, _ in Checked(page).tags}
    assert names.isdisjoint({"script", "link", "img", "iframe"})
    assert re.findall(r"https?:|url\(|@import|\bsrc=|\bhref=", page) == []


def test_no_text_becomes_markup() -> None:
    evil = '"><script>x</script>&\x1b[31m'
    span = make_span(evil, op=evil, shared_with=(evil,), stages=(StageTime(name=evil, elapsed_s=1.0),))
    steps = (StageTime(name=evil, elapsed_s=1.0),)
    text = timings_page([make_timings(span, wheel=evil, steps=steps, reused=(evil,))])
    page = Checked(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "\x1b" not in text
    assert '"><script>x</script>&' in page.text


def test_every_wheel_has_a_row_and_a_part_of_its_own() -> None:
    one = make_timings(make_span(peak_memory_bytes=GIB), wheel="cp311", reused=("gds", "dc"))
    two = make_timings(make_span(), wheel="cp312")
    page = Checked(timings_page([one, two]))
    assert sum(tag == "article" for tag, _ in page.tags) == 2
    rows = re.findall(r"<tr>(.*?)</tr>", timings_page([one, two]))
    assert re.findall(r"<td>(.*?)</td>", rows[1]) == ["cp311", "3", "2", "1", "1 min 0 s", "9.5 s", "0.9 of 2", "1 GiB"]


def test_a_build_that_compiled_nothing_has_a_page_too() -> None:
    page = Checked(timings_page([make_timings(reused=("cpu_adam",))]))
    assert "cpu_adam" in page.text
    assert page.of_class("run") == 0


def test_only_the_slowest_sources_stand_open_and_the_others_fold_out() -> None:
    page = Checked(timings_page([make_timings(*many(30))]))
    assert "10 other sources" in page.text
    assert sum(tag == "details" for tag, _ in page.tags) == 1
