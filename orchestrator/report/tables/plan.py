"""The plan: every wheel with its ops, every host with its reason; nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from rich.console import RenderableType
from rich.text import Text

from orchestrator.model.ops import OpDecision, OpVerdict
from orchestrator.model.plan import DeployPlan, HostPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, GOOD, STRONG, Drawing, line, make_details, make_table, stacked, titled
from orchestrator.report.tables.recipe import source_words
from orchestrator.report.wording import count

_OP_WORDS = {
    OpVerdict.BUILD: "builds",
    OpVerdict.REUSE: "reuses",
    OpVerdict.SKIP: "skips",
    OpVerdict.REFUSE: "refuses",
}
_VERDICTS = list(HostVerdict)
_STYLES = {HostVerdict.INSTALL: STRONG, HostVerdict.KEEP: GOOD, HostVerdict.REJECT: BAD}


def plan_table(plan: DeployPlan) -> RenderableType:
    """Draw what would be built, copied, installed, kept and rejected, each with its reason."""
    return Drawing(lambda _: _plan(plan))


def plan_sum(plan: DeployPlan) -> str:
    """Say the whole plan in one line."""
    if plan.is_empty:
        return f"nothing to do: {count(len(plan.hosts), 'host')} kept"
    wheels = [
        f"{count(number, 'wheel')} to {verdict.value}"
        for verdict in WheelVerdict
        if (number := sum(wheel.verdict is verdict for wheel in plan.wheels))
    ]
    hosts = [
        f"{verdict.value} {count(number, 'host')}"
        for verdict in HostVerdict
        if (number := len(plan.of_verdict(verdict)))
    ]
    return ", ".join([*wheels, *hosts])


def _plan(plan: DeployPlan) -> RenderableType:
    return stacked(
        line("recipe ", (plan.recipe.name, STRONG), f": {source_words(plan.recipe.source)}"),
        *(_wheel(wheel) for wheel in plan.wheels),
        _hosts(plan) if plan.hosts else None,
        line(plan_sum(plan)),
    )


def _wheel(wheel: WheelPlan) -> RenderableType:
    title = f"{wheel.verdict.value} {wheel.signature.label}"
    return titled(title, make_details(_wheel_rows(wheel)))


def _wheel_rows(wheel: WheelPlan) -> Iterator[tuple[str, RenderableType]]:
    yield "why", wheel.reason
    yield "for", fold_hosts(wheel.hosts)
    if wheel.builder:
        yield "on", f"{wheel.builder.host or 'the controller'}: {wheel.builder.reason}"
        if wheel.builder.toolchain:
            yield "with", _toolchain(wheel.builder.toolchain)
    if wheel.sha256:
        yield "wheel", wheel.sha256[:12]
    for verdict, word in _OP_WORDS.items():
        decisions = [decision for decision in wheel.ops if decision.verdict is verdict]
        if decisions:
            yield word, _ops(decisions)


def _toolchain(toolchain: Toolchain) -> str:
    """Say with what is compiled: `CUDA 13.0 from NVIDIA's wheels, g++ 12.2`."""
    compiler = f"{PurePosixPath(toolchain.cxx).name} {_minor(toolchain.cxx_version)}"
    cuda = f"CUDA {toolchain.cuda} {_origin(toolchain)}, " if toolchain.cuda else ""
    return f"{cuda}{compiler}" + (f": {toolchain.reason}" if toolchain.reason else "")


def _origin(toolchain: Toolchain) -> str:
    if toolchain.kind is ToolchainKind.WHEELS:
        return "from NVIDIA's wheels"
    nvcc = f" (nvcc {toolchain.nvcc_version})" if toolchain.nvcc_version else ""
    return f"in {toolchain.cuda_home}{nvcc}"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _ops(decisions: Sequence[OpDecision]) -> Text:
    """Name the ops of one verdict, those with equal reasons on one line."""
    ops_by_reason: dict[str, list[str]] = {}
    for decision in decisions:
        ops_by_reason.setdefault(decision.reason, []).append(decision.op)
    lines = [line(", ".join(ops), f": {reason}" if reason else "") for reason, ops in ops_by_reason.items()]
    return line("\n").join(lines)


def _hosts(plan: DeployPlan) -> RenderableType:
    """Fold hosts by what happens to them, why, and with which wheel."""
    rows: dict[tuple[HostVerdict, str, str], list[str]] = {}
    for host in plan.hosts:
        rows.setdefault((host.verdict, _wheel_label(plan, host), _reason(host)), []).append(host.host)
    return make_table(
        ("HOSTS", "VERDICT", "WHEEL", "WHY"),
        (
            (fold_hosts(hosts), line((verdict.value, _STYLES[verdict])), label, reason)
            for (verdict, label, reason), hosts in sorted(rows.items(), key=lambda row: _VERDICTS.index(row[0][0]))
        ),
    )


def _wheel_label(plan: DeployPlan, host: HostPlan) -> str:
    """Name the wheel where there are several; one alone stands above the table."""
    wheel = plan.wheel_for(host.host)
    return wheel.signature.label if wheel and len(plan.wheels) > 1 else ""


def _reason(host: HostPlan) -> str:
    return f"{host.reason}\nhint: {host.hint}" if host.hint else host.reason
