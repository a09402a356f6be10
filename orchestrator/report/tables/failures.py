"""Failures: what happened, to which hosts, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType

from orchestrator.model.outcome import FoldedFailure
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, Drawing, Page, said


def failures_block(folded: Sequence[FoldedFailure]) -> RenderableType:
    """Tell each failure once, with its hosts and its hint; print it with `soft_wrap` to keep long lines whole."""
    return Drawing(lambda page: Group(*(_failure(each, page) for each in folded)))


def _failure(folded: FoldedFailure, page: Page) -> RenderableType:
    message = folded.failure.message
    for name in (*folded.hosts[:1], "the host"):  # some messages begin with the host, which stands there already
        message = message.removeprefix(f"{name}: ")
    return said((page.marks.bad, BAD), f"{fold_hosts(folded.hosts)}: {message}", folded.failure.hint)
