"""What went wrong in a log: each cause with the lines that tell it and the fix, or the first error."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType

from orchestrator.diagnosis.evidence import LogLine
from orchestrator.diagnosis.explain_log import Cause, Explanation, Verdict
from orchestrator.report.page import BAD, FAINT, GOOD, STRONG, Drawing, Page, line, make_details, said, stacked


def log_explanation(explanation: Explanation) -> RenderableType:
    """Draw an explanation."""
    return Drawing(lambda page: _drawn(explanation, page))


def _drawn(explanation: Explanation, page: Page) -> RenderableType:
    match explanation.verdict:
        case Verdict.FAILURE:
            first, *others = explanation.causes
            also = line(("perhaps also", STRONG)) if others else None
            return stacked(_cause(first, page), also, *(_cause(each, page) for each in others))
        case Verdict.UNKNOWN:
            text = "something failed that the catalogue does not know; this came first:"
            return Group(said((page.marks.bad, BAD), text), _lines(explanation.first_error))
        case Verdict.NO_FAILURE:
            return said((page.marks.good, GOOD), "nothing in this log says that something failed")


def _cause(cause: Cause, page: Page) -> RenderableType:
    title = line((page.marks.bad, BAD), " ", (cause.id, STRONG), (f"  {cause.confidence.value}", FAINT))
    rows = [("cause", cause.cause), ("fix", cause.fix), ("", cause.command), ("see", cause.link)]
    return Group(title, _lines(cause.lines), make_details((name, text) for name, text in rows if text))


def _lines(lines: Sequence[LogLine]) -> RenderableType:
    return make_details((f"line {each.number}", each.text) for each in lines)
