"""Bring every host its bundle through the carrier."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.model.events import FanOutReported, Stage, StageFinished, StageStarted
from orchestrator.model.fanout import FanOutResult
from orchestrator.ports import Carrier, Fleet, Reporter
from orchestrator.stages.bundle import Bundle


def fan_out(bundles: Mapping[str, Bundle], *, carrier: Carrier, fleet: Fleet, reporter: Reporter) -> FanOutResult:
    """Return what it took for each host to hold its bundle; what it held already is not sent."""
    reporter.emit(StageStarted(stage=Stage.FAN_OUT, total=len(bundles)))
    parcels = {host: bundle.parcels for host, bundle in bundles.items()}
    result = carrier.carry(parcels, fleet, reporter)
    reporter.emit(FanOutReported(report=result.report))
    reporter.emit(StageFinished(stage=Stage.FAN_OUT, elapsed_s=result.report.elapsed_s))
    return result
