"""What `verify` found, as the XML that CI servers read: a suite for each host, a case for each op, on each GPU.

The elements are those of Jenkins' schema (jenkinsci/xunit-plugin, junit-10.xsd).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from orchestrator.model.outcome import Outcome
from orchestrator.model.verification import CheckState, OpCheck, Verification
from orchestrator.planning.folding import fold_gpus
from orchestrator.report.wording import clean

_TAGS = {
    CheckState.LOADED: "skipped",
    CheckState.WRONG: "failure",
    CheckState.NO_KERNEL_IMAGE: "failure",
    CheckState.ABSENT: "failure",
    CheckState.FAILED: "error",
    CheckState.CRASHED: "error",
    CheckState.TIMED_OUT: "error",
}
"""What ran has nothing to tell; an op that was loaded and not run counts as skipped, though it can be used."""
_COUNTS = {"failures": "failure", "errors": "error"}
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped (section 2.2)."""


def junit_xml(verifications: Mapping[str, Verification], failures: Sequence[Outcome[object]] = ()) -> bytes:
    """Return the whole document, in UTF-8; hosts that could not be verified are suites with one error."""
    suites = Element("testsuites", name="dsdeploy verify")
    for host, verification in verifications.items():
        suites.append(_suite(host, list(_cases(host, verification)), [each.text for each in verification.findings]))
    for outcome in failures:
        if outcome.failure:
            case = _case(outcome.host, "verify", outcome.elapsed_s)
            _tell(case, "error", outcome.failure.exit_code.name.lower(), outcome.failure.message)
            suites.append(_suite(outcome.host, [case], []))
    _count(suites, suites.findall("testsuite/testcase"))
    indent(suites)
    return bytes(tostring(suites, encoding="utf-8", xml_declaration=True))


def _suite(host: str, cases: Sequence[Element], findings: Sequence[str]) -> Element:
    suite = Element("testsuite", name=_written(host), hostname=_written(host))
    _count(suite, cases)
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.extend(cases)
    if findings:
        SubElement(suite, "system-out").text = _written("\n".join(findings))
    return suite


def _count(element: Element, cases: Sequence[Element]) -> None:
    element.set("tests", str(len(cases)))
    for name, tag in _COUNTS.items():
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _cases(host: str, verification: Verification) -> Iterator[Element]:
    report = _case(host, "ds_report", 0.0)
    if verification.report is None:
        _tell(report, "error", CheckState.FAILED.value, verification.report_error or "not read")
    yield report
    for check in verification.checks:
        yield _check(host, check)


def _check(host: str, check: OpCheck) -> Element:
    where = "" if check.gpu is None else f" on {fold_gpus([check.gpu])}"
    case = _case(host, check.op + where, check.elapsed_s)
    tag = _TAGS.get(check.state)
    if tag:
        _tell(case, tag, check.state.value, check.text)
    return case


def _case(host: str, name: str, elapsed_s: float) -> Element:
    return Element("testcase", classname=_written(host), name=_written(name), time=f"{elapsed_s:.3f}")


def _tell(case: Element, tag: str, kind: str, text: str) -> None:
    """Say what became of a case; servers show the message in lists, the content on the case's own page."""
    told = f"{kind}: {text}" if text else kind
    SubElement(case, tag, type=kind, message=_written(told)).text = _written(told)


def _written(text: str) -> str:
    return _NO_CHARACTER.sub("", clean(text))
