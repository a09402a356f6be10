"""The plain carrier: the controller sends every host its files over the session that is open anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.model.events import HostFinished, HostProgress, Stage
from orchestrator.model.outcome import Delivery, Outcomes
from orchestrator.ports import Fleet, Parcel, Remote, Reporter

_HAS_TIMEOUT_S = 120.0


class StarCarrier:
    """Implements the port Carrier; N hosts cost N copies through the controller's link."""

    def carry(self, parcels: Mapping[str, Sequence[Parcel]], fleet: Fleet, reporter: Reporter) -> Outcomes[Delivery]:
        """Send each host what it lacks; the agent hashes on arrival and renames when whole."""
        return fleet.each(
            list(parcels),
            lambda remote: _deliver(remote, parcels[remote.host], reporter),
            on_done=lambda outcome: reporter.emit(HostFinished.of(Stage.FAN_OUT, outcome)),
        )


def _deliver(remote: Remote, parcels: Sequence[Parcel], reporter: Reporter) -> Delivery:
    missing = _missing(remote, parcels)
    total_bytes = _size_bytes(missing)
    sent_bytes = 0
    for parcel in missing:
        start = HostProgress(stage=Stage.FAN_OUT, host=remote.host, done_bytes=sent_bytes, total_bytes=total_bytes)
        remote.put(parcel.source, parcel.path, on_progress=_teller(start, reporter))
        sent_bytes += parcel.size_bytes
    return Delivery(sent_bytes=total_bytes, kept_bytes=_size_bytes(parcels) - total_bytes)


def _teller(start: HostProgress, reporter: Reporter) -> Callable[[int, int], None]:
    """Return what tells how far one file is; `start` is what to say before its first byte."""

    def tell(sent_bytes: int, _file_bytes: int) -> None:
        reporter.emit(replace(start, done_bytes=(start.done_bytes or 0) + sent_bytes))

    return tell


def _missing(remote: Remote, parcels: Sequence[Parcel]) -> list[Parcel]:
    """Return the parcels that are not there whole; the agent computes the digests."""
    files = [{"path": parcel.path, "sha256": parcel.sha256} for parcel in parcels]
    paths = remote.request("has", {"files": files}, timeout_s=_HAS_TIMEOUT_S)["missing"]
    return [parcel for parcel in parcels if parcel.path in paths]


def _size_bytes(parcels: Sequence[Parcel]) -> int:
    return sum(parcel.size_bytes for parcel in parcels)
