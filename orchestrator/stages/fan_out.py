"""Bring every host its bundle through the carrier."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.model.events import Stage, StageFinished, StageStarted
from orchestrator.model.outcome import Delivery, Outcomes
from orchestrator.ports import Carrier, Fleet, Reporter
from orchestrator.stages.bundle import Bundle


def fan_out(bundles: Mapping[str, Bundle], *, carrier: Carrier, fleet: Fleet, reporter: Reporter) -> Outcomes[Delivery]:
    """Return what it took for each host to hold its bundle; what it held already is not sent."""
    reporter.emit(StageStarted(stage=Stage.FAN_OUT, total=len(bundles)))
    parcels = {host: bundle.parcels for host, bundle in bundles.items()}
    outcomes = carrier.carry(parcels, fleet, reporter)
    longest_s = max((outcome.elapsed_s for outcome in outcomes.items), default=0.0)
    reporter.emit(StageFinished(stage=Stage.FAN_OUT, elapsed_s=longest_s))
    return outcomes
