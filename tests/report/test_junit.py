from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from report_samples import CPU_OPS, failed, make_verification

from orchestrator.cli.junit_file import write_junit
from orchestrator.errors import UsageError
from orchestrator.model.verification import CheckState, Finding, OpCheck, OpReport, Verification
from orchestrator.report.junit import junit_xml


def read(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)


def checked(*checks: OpCheck) -> ET.Element:
    return read(junit_xml({"a": Verification(checks=checks, report=OpReport())}))


def test_each_host_is_a_suite_and_each_op_a_case_of_it() -> None:
    suites = read(junit_xml({"a": make_verification(), "b": make_verification()}))
    assert [suite.get("name") for suite in suites] == ["a", "b"]
    assert [case.get("name") for case in suites[1]] == ["ds_report", *CPU_OPS]
    assert {case.get("classname") for case in suites[1]} == {"b"}
    assert [suites.get(name) for name in ("tests", "failures", "errors")] == ["16", "0", "0"]


def test_an_op_is_a_case_on_each_gpu_with_its_time() -> None:
    suites = checked(*(OpCheck(op="fused_adam", gpu=gpu, state=CheckState.RAN, elapsed_s=1.5) for gpu in range(2)))
    assert [(case.get("name"), case.get("time")) for case in suites.iter("testcase")][1:] == [
        ("fused_adam on GPU 0", "1.500"),
        ("fused_adam on GPU 1", "1.500"),
    ]
    assert suites[0].get("time") == "3.000"


@pytest.mark.parametrize(
    ("tag", "states"),
    [
        ("failure", {CheckState.WRONG, CheckState.NO_KERNEL_IMAGE, CheckState.ABSENT}),
        ("error", {CheckState.FAILED, CheckState.CRASHED, CheckState.TIMED_OUT}),
        ("skipped", {CheckState.LOADED}),
    ],
)
def test_each_state_has_its_element_with_its_words_and_is_counted(tag: str, states: set[CheckState]) -> None:
    suites = checked(*(OpCheck(op=state.name, state=state, text="why") for state in CheckState))
    found = {case.get("name"): case.find(tag) for case in suites.iter("testcase") if case.find(tag) is not None}
    assert set(found) == {state.name for state in states}
    assert {each.get("message") for each in found.values() if each is not None} == {
        f"{each.value}: why" for each in states
    }
    count = {"failure": "failures", "error": "errors", "skipped": "skipped"}[tag]
    assert suites[0].get(count) == str(len(states))


def test_what_ran_holds_nothing() -> None:
    assert len(checked(OpCheck(op="x", state=CheckState.RAN, text="within 1e-7"))[0][1]) == 0


def test_a_report_that_was_not_read_and_a_host_that_did_not_answer_are_errors() -> None:
    unread = Verification(checks=(), report_error="no torch")
    suites = read(junit_xml({"a": unread}, [failed("b", "connection refused")]))
    errors = {suite.get("name"): suite.find("testcase/error") for suite in suites}
    assert {name: error.text for name, error in errors.items() if error is not None} == {
        "a": "failed: no torch",
        "b": "host: connection refused",
    }


def test_findings_are_the_suites_output() -> None:
    finding = Finding(kind="jit-lock-stale", text="a lock: /x")
    suites = read(junit_xml({"a": replace(make_verification(), findings=(finding,))}))
    assert suites[0].findtext("system-out") == "a lock: /x"


def test_whatever_a_host_says_the_file_can_be_read() -> None:
    text = 'a <b> & "c" ]]> \x1b[31mred\x1b[0m \x00\x08\ufffe\ud800 ünïcode \U0001f600'
    suites = checked(OpCheck(op="x", state=CheckState.FAILED, text=text))
    assert suites.findtext("testsuite/testcase/error") == 'failed: a <b> & "c" ]]> red  ünïcode \U0001f600'


def test_the_file_is_written_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "verify.xml"
    path.write_text("old")
    write_junit(path, {"a": make_verification()}, [])
    assert read(path.read_bytes()).get("tests") == "8"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_a_usage_error_and_the_old_one_stays(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        write_junit(tmp_path / "gone" / "verify.xml", {}, [])
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError):
        write_junit(tmp_path / "folder", {}, [])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
