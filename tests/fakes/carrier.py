"""A carrier that puts files straight into the memory of fakes/fleet.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.errors import DsdeployError
from orchestrator.model.events import HostFinished, Stage
from orchestrator.model.fanout import FanOutReport, FanOutResult, Topology
from orchestrator.model.outcome import Delivery
from orchestrator.ports import Fleet, Parcel, Remote, Reporter


class FakeCarrier:
    """Brings every host what it lacks; `errors` says what goes wrong for which host."""

    def __init__(self, errors: Mapping[str, DsdeployError] | None = None) -> None:
        self.errors = errors or {}

    def carry(self, parcels: Mapping[str, Sequence[Parcel]], fleet: Fleet, reporter: Reporter) -> FanOutResult:
        outcomes = fleet.each(
            list(parcels),
            lambda remote: self._deliver(remote, parcels[remote.host]),
            on_done=lambda outcome: reporter.emit(HostFinished.of(Stage.FAN_OUT, outcome)),
        )
        sent = [delivery.sent_bytes for delivery in outcomes.values().values()]
        report = FanOutReport(
            elapsed_s=0.5,
            lacked_bytes=max(sent, default=0),
            controller_bytes=sum(sent),
            peer_bytes=0,
            fastest_bytes_per_s=None,
            topology=Topology(parents=dict.fromkeys(parcels)),
        )
        return FanOutResult(outcomes=outcomes, report=report)

    def _deliver(self, remote: Remote, parcels: Sequence[Parcel]) -> Delivery:
        if remote.host in self.errors:
            raise self.errors[remote.host]
        files = [{"path": parcel.path, "sha256": parcel.sha256} for parcel in parcels]
        missing = remote.request("has", {"files": files})["missing"]
        lacked = [parcel for parcel in parcels if parcel.path in missing]
        for parcel in lacked:
            remote.put(parcel.source, parcel.path)
        sent_bytes = sum(parcel.size_bytes for parcel in lacked)
        return Delivery(sent_bytes=sent_bytes, kept_bytes=sum(parcel.size_bytes for parcel in parcels) - sent_bytes)
