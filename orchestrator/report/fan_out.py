"""Says in words what a fan-out took."""

from __future__ import annotations

from orchestrator.model.fanout import FanOutReport
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.wording import size


def fan_out_words(report: FanOutReport) -> str:
    """Return from where how much went, how far that was from the ideal, and who had to fall back to the controller."""
    if not report.lacked_bytes:
        return "nothing was lacking"
    words = [f"{size(report.controller_bytes)} from the controller", f"{size(report.peer_bytes)} between hosts"]
    if report.ratio is not None:
        words.append(f"{report.ratio:.1f} times the ideal")
    if report.fallen_back:
        words.append(f"fell back to the controller: {fold_hosts(report.fallen_back)}")
    return ", ".join(words)
