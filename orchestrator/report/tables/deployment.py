"""What a run of provision or push has done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from orchestrator.errors import ExitCode
from orchestrator.model.deployment import DeploymentResult
from orchestrator.model.fanout import FanOutReport
from orchestrator.model.outcome import Delivery
from orchestrator.model.plan import DeployPlan, HostVerdict
from orchestrator.model.wheels import Artifact
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.ends import end_rows, end_words
from orchestrator.report.fan_out import fan_out_words
from orchestrator.report.page import BAD, GOOD, Drawing, Page, line, make_details, stacked
from orchestrator.report.wording import count, duration, size


def deployment_summary(plan: DeployPlan, result: DeploymentResult, elapsed_s: float) -> RenderableType:
    """Say what was built, copied, installed and kept, what failed, and how long all of it took."""
    return Drawing(lambda page: _summary(plan, result, elapsed_s, page))


def _summary(plan: DeployPlan, result: DeploymentResult, elapsed_s: float, page: Page) -> RenderableType:
    rows = [(name, text) for name, text in _rows(plan, result) if text]
    is_good = result.exit_code is ExitCode.DONE and not plan.of_verdict(HostVerdict.REJECT)
    mark = (page.marks.good, GOOD) if is_good else (page.marks.bad, BAD)
    end = _end(result, is_good=is_good)
    return stacked(make_details(rows, indent=0) if rows else None, line(mark, f" {end}, {duration(elapsed_s)}"))


def _end(result: DeploymentResult, *, is_good: bool) -> str:
    if not is_good:
        return f"{end_words(result)}; deployment {result.deployment}"
    return f"deployment {result.deployment}" if result.ends or result.built else "nothing to do"


def _rows(plan: DeployPlan, result: DeploymentResult) -> Iterator[tuple[str, str]]:
    kept = [host.host for host in plan.of_verdict(HostVerdict.KEEP)]
    rejected = [host.host for host in plan.of_verdict(HostVerdict.REJECT)]
    yield "built", "\n".join(_wheel(artifact) for artifact in result.built.values())
    yield "copied", _copied(list(result.deliveries.values()))
    yield "fan-out", _fan_out(result.fan_out)
    yield from end_rows(result, changed="installed")
    yield "kept", _hosts(kept)
    yield "rejected", _hosts(rejected)
    yield "failed", _hosts(list(dict.fromkeys(outcome.host for outcome in result.failures)))


def _wheel(artifact: Artifact) -> str:
    manifest = artifact.manifest
    ops = count(len(manifest.built_ops), "op")
    return f"{manifest.signature.label}: {ops}, {size(artifact.size_bytes)}, {artifact.sha256[:12]}"


def _copied(deliveries: Sequence[Delivery]) -> str:
    if not deliveries:
        return ""
    sent = size(sum(delivery.sent_bytes for delivery in deliveries))
    kept = size(sum(delivery.kept_bytes for delivery in deliveries))
    return f"{sent} to {count(len(deliveries), 'host')}; {kept} were there already"


def _fan_out(report: FanOutReport | None) -> str:
    return f"{fan_out_words(report)}, {duration(report.elapsed_s)}" if report else ""


def _hosts(hosts: Sequence[str]) -> str:
    return f"{fold_hosts(hosts)} ({count(len(hosts), 'host')})" if hosts else ""
