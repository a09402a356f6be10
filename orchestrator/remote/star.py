"""The plain carrier: the controller sends every host its files over the session that is open anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.model.events import HostFinished, HostProgress, Stage
from orchestrator.model.outcome import Delivery, Outcome, Outcomes
from orchestrator.ports import Fleet, Parcel, Remote, Reporter

_HAS_TIMEOUT_S = 120.0


class StarCarrier:
    """Implements the port Carrier; N hosts cost N copies through the controller's link."""

    def carry(self, parcels: Mapping[str, Sequence[Parcel]], fleet: Fleet, reporter: Reporter) -> Outcomes[Delivery]:
        """Send each host what it lacks; the agent hashes on arrival and renames when whole."""

        def tell(outcome: Outcome[Delivery]) -> None:
            text = outcome.failure.message if outcome.failure else ""
            reporter.emit(
                HostFinished(
                    stage=Stage.FAN_OUT,
                    host=outcome.host,
                    is_ok=outcome.is_ok,
                    text=text,
                    elapsed_s=outcome.elapsed_s,
                )
            )

        return fleet.each(list(parcels), lambda remote: _deliver(remote, parcels[remote.host], reporter), on_done=tell)


def _deliver(remote: Remote, parcels: Sequence[Parcel], reporter: Reporter) -> Delivery:
    files = [{"path": parcel.path, "sha256": parcel.sha256} for parcel in parcels]
    missing_paths = set(remote.request("has", {"files": files}, timeout_s=_HAS_TIMEOUT_S)["missing"])
    missing = [parcel for parcel in parcels if parcel.path in missing_paths]
    total = sum(parcel.size_bytes for parcel in missing)
    done = 0
    for parcel in missing:
        base = done

        def tell(sent: int, _size: int, base: int = base) -> None:
            reporter.emit(
                HostProgress(stage=Stage.FAN_OUT, host=remote.host, done_bytes=base + sent, total_bytes=total)
            )

        remote.put(parcel.source, parcel.path, on_progress=tell)
        done += parcel.size_bytes
    return Delivery(sent_bytes=total, kept_bytes=sum(parcel.size_bytes for parcel in parcels) - total)
