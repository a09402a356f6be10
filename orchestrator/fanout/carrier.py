"""The carrier: files leave the controller once, and hosts serve what they hold to each other."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from orchestrator.fanout.cargo import sort_freight
from orchestrator.fanout.certificates import RunAuthority
from orchestrator.fanout.lane import Happening, Lane, Surroundings
from orchestrator.fanout.messengers import Messengers
from orchestrator.model.events import HostFinished, HostProgress, Note, Stage
from orchestrator.model.fanout import FanOutReport, FanOutResult, FanOutSettings, Topology
from orchestrator.model.outcome import Delivery, Failure, Outcome, Outcomes
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.relay_topology import topology_of
from orchestrator.ports import Fleet, Parcel, Remote, Reporter

_TICK_S = 0.25
_FINISH_S = 3.0
"""For the agents to close their doors, when all is done."""


class RelayCarrier:
    """Implements the port Carrier: N hosts cost one copy through the controller's link."""

    def __init__(self, settings: FanOutSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock

    def carry(self, parcels: Mapping[str, Sequence[Parcel]], fleet: Fleet, reporter: Reporter) -> FanOutResult:
        """Bring every host (key) its parcels; return when each is whole or has failed."""
        voyage = _Voyage(parcels, self._settings, reporter, self._clock)
        try:
            voyage.open(fleet)
            while not voyage.is_over:
                voyage.go_on()
            voyage.finish()
        finally:
            voyage.stop()
        return voyage.result()


class _Voyage:
    """All lanes of one run. What happens elsewhere is posted, and taken in here by one thread."""

    def __init__(
        self,
        parcels: Mapping[str, Sequence[Parcel]],
        settings: FanOutSettings,
        reporter: Reporter,
        clock: Callable[[], float],
    ) -> None:
        authority = RunAuthority()
        self._clock = clock
        self._reporter = reporter
        self._happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._started_s = self._ticked_s = clock()
        around = Surroundings(
            settings=settings,
            authority_pem=authority.certificate_pem,
            credentials=cache(authority.issue),
            post=self._happenings.put,
            emit=reporter.emit,
            on_progress=self._note_progress,
            on_over=self._note_end,
            messengers=Messengers(),
        )
        freights = sort_freight(parcels)
        self._lanes = [Lane(freight, around, self._started_s) for freight in freights]
        self._lanes_of = {host: [lane for lane in self._lanes if host in lane.freight.hosts] for host in parcels}
        self._outcomes: dict[str, Outcome[Delivery]] = {}
        self._elapsed_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether every host is whole or has failed."""
        return all(lane.is_over for lane in self._lanes)

    def open(self, fleet: Fleet) -> None:
        """Read the files and connect to the hosts, both in the background."""
        for lane in self._lanes:
            threading.Thread(target=lane.read, name="read", daemon=True).start()
        threading.Thread(target=self._open, args=(fleet,), name="open", daemon=True).start()

    def go_on(self) -> None:
        """Take in what has happened; wait for it if need be, until the next tick at most."""
        due_s = self._ticked_s + _TICK_S
        with contextlib.suppress(queue.Empty):
            happening = self._happenings.get(timeout=max(due_s - self._clock(), 0.0))
            happening(self._clock())
        now_s = self._clock()
        if now_s >= due_s:
            self._tick(now_s)

    def finish(self) -> None:
        """Let the agents close their doors, and say what a person should know."""
        self._elapsed_s = self._clock() - self._started_s
        for lane in self._lanes:
            lane.finish()
        deadline_s = self._clock() + _FINISH_S
        while not all(lane.has_ended for lane in self._lanes) and self._clock() < deadline_s:
            self.go_on()
        self._tell_fallen_back()

    def stop(self) -> None:
        """Send nothing more, also when it is not over."""
        for lane in self._lanes:
            lane.stop()

    def result(self) -> FanOutResult:
        """Return what became of each host, in the order asked for, and what it took."""
        nothing = Delivery(sent_bytes=0, kept_bytes=0)
        items = [self._outcomes.get(host) or Outcome(host=host, value=nothing) for host in self._lanes_of]
        outcomes = Outcomes(items=tuple(items))
        largest = max(self._lanes, key=lambda lane: lane.freight.size_bytes, default=None)
        received = [delivery.sent_bytes for delivery in outcomes.values().values()]
        controller_bytes = sum(lane.fed_bytes for lane in self._lanes)
        report = FanOutReport(
            elapsed_s=self._elapsed_s,
            lacked_bytes=max(received, default=0),
            controller_bytes=controller_bytes,
            peer_bytes=max(sum(received) - controller_bytes, 0),
            fastest_bytes_per_s=max((lane.relaying.best_rate for lane in self._lanes), default=0.0) or None,
            topology=topology_of(largest.relaying.hosts) if largest else Topology(parents={}),
            fallen_back=tuple(host for host in self._lanes_of if host in self._fallen_back()),
        )
        return FanOutResult(outcomes=outcomes, report=report)

    def _open(self, fleet: Fleet) -> None:
        def open_lanes(remote: Remote) -> None:
            for lane in self._lanes_of[remote.host]:
                lane.open(remote)

        def note(outcome: Outcome[None]) -> None:
            if outcome.failure is not None:
                self._happenings.put(partial(self._fail, outcome.host, outcome.failure))

        try:
            fleet.each(list(self._lanes_of), open_lanes, on_done=note)
        except BaseException as error:  # noqa: BLE001 - raised again where it ends the run
            self._happenings.put(partial(_raise, error))

    def _fail(self, host: str, failure: Failure, now_s: float) -> None:
        for lane in self._lanes_of[host]:
            lane.fail(host, failure, now_s)

    def _tick(self, now_s: float) -> None:
        self._ticked_s = now_s
        for lane in self._lanes:
            lane.tick(now_s)

    def _note_progress(self, host: str) -> None:
        places = [lane.relaying.hosts[host] for lane in self._lanes_of[host]]
        self._reporter.emit(
            HostProgress(
                stage=Stage.FAN_OUT,
                host=host,
                done_bytes=sum(place.held_bytes - place.kept_bytes for place in places),
                total_bytes=sum(place.total_bytes - place.kept_bytes for place in places),
            )
        )

    def _note_end(self, host: str) -> None:
        lanes = self._lanes_of[host]
        places = [lane.relaying.hosts[host] for lane in lanes]
        if not all(place.is_over for place in places):
            return
        now_s = self._clock()
        delivery = Delivery(
            sent_bytes=sum(place.total_bytes - place.kept_bytes for place in places),
            kept_bytes=sum(place.kept_bytes for place in places),
        )
        failure = next((lane.failures[host] for lane in lanes if host in lane.failures), None)
        outcome = Outcome(
            host=host, value=None if failure else delivery, failure=failure, elapsed_s=now_s - self._started_s
        )
        self._outcomes[host] = outcome
        self._reporter.emit(HostFinished.of(Stage.FAN_OUT, outcome))

    def _fallen_back(self) -> dict[str, str]:
        return {host: why for lane in self._lanes for host, why in lane.relaying.fallen_back.items()}

    def _tell_fallen_back(self) -> None:
        reasons = self._fallen_back()
        if reasons:
            text = f"{fold_hosts(list(reasons))} could not connect to other hosts, so the controller sent every copy"
            hint = "open TCP between the hosts; --relay-ports 20000-20100 keeps to ports that a firewall lets through"
            self._reporter.emit(Note(text=f"{text}: {next(iter(reasons.values()))}", hint=hint))


def _raise(error: BaseException, _now_s: float) -> None:
    raise error
