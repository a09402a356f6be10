"""The hosts of one run: each connected to once, at first use, and all asked at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeVar

from orchestrator.agent.packing import PackedAgent, pack
from orchestrator.errors import DsdeployError, HostError
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.ports import Remote
from orchestrator.remote.at_once import at_once
from orchestrator.remote.channels import Channel
from orchestrator.remote.dial import Dialer, DialSettings
from orchestrator.remote.opening import open_session
from orchestrator.remote.session import AgentSession

T = TypeVar("T")

_CLOSE_S = 5.0
"""An agent gets 2 s to clean up; a host that takes no bytes any more would hold us up for longer."""


@dataclass(slots=True)
class _Seat:
    """One host's place: its session once it is open, or why it could not be opened."""

    host: Host
    lock: threading.Lock = field(default_factory=threading.Lock)
    session: AgentSession | None = None
    failure: HostError | None = None


class SshFleet(AbstractContextManager["SshFleet"]):
    """The port `Fleet` over SSH. At the end of its `with` block agents clean up, and connections are closed."""

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        settings: DialSettings,
        agent: PackedAgent | None = None,
        open_channel: Callable[[Host], Channel] | None = None,
    ) -> None:
        """Connect to nothing yet; `open_channel`, instead of SSH, connects to one host or raises HostError.

        Raises UsageError when the SSH configuration cannot be read.
        """
        self._seats = {host.name: _Seat(host=host) for host in hosts}
        self._dialer = Dialer(settings)
        self._open_channel = open_channel or self._dialer.open
        self._agent = agent or pack()
        self._closed = threading.Event()

    def each(
        self,
        hosts: Sequence[str],
        task: Callable[[Remote], T],
        *,
        on_done: Callable[[Outcome[T]], None] | None = None,
    ) -> Outcomes[T]:
        """Run `task` on every host at once and return all outcomes in the order of `hosts`.

        `on_done` runs in the caller's thread. An exception that is no DsdeployError is raised once all hosts are done;
        Ctrl-C closes all connections at once.
        """
        outcomes: dict[int, Outcome[T]] = {}
        try:
            for index, outcome in at_once(lambda host: self._outcome(host, task), hosts):
                outcomes[index] = outcome
                if on_done is not None:
                    on_done(outcome)
        except KeyboardInterrupt:
            self.close()
            raise
        return Outcomes(items=tuple(outcome for _, outcome in sorted(outcomes.items(), key=itemgetter(0))))

    def remote(self, host: str) -> Remote:
        """Return the open session of one host, opened now when it is not. Raises HostError, the same one each time."""
        seat = self._seats[host]
        with seat.lock:
            if seat.failure is not None:
                raise HostError(seat.failure.message, hint=seat.failure.hint)
            return seat.session or self._open(seat)

    def close(self) -> None:
        """Let every agent clean up, all at the same time, and close every connection: within 5 s, whatever they do.

        What is not closed by then closes by itself; the hosts can be connected to anew at once.
        """
        self._closed.set()
        closing = threading.Thread(target=self._close_connections, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_connections(self) -> None:
        sessions = [seat.session for seat in self._seats.values() if seat.session is not None]
        list(at_once(AgentSession.close, sessions))
        self._dialer.close()

    def _open(self, seat: _Seat) -> AgentSession:
        host = seat.host
        if self._closed.is_set():
            raise HostError(f"{host.name} was not connected to: the run is over")
        try:
            channel = self._open_channel(host)
            session = open_session(host.name, channel, self._agent, preamble=f"{host.python or ''}\n".encode())
        except HostError as error:
            seat.failure = error
            raise
        seat.session = session
        if self._closed.is_set():  # meanwhile, so `close` may not have seen it
            session.close()
        return session

    def _outcome(self, host: str, task: Callable[[Remote], T]) -> Outcome[T]:
        started = time.monotonic()
        try:
            value = task(self.remote(host))
        except DsdeployError as error:
            return Outcome(host=host, failure=Failure.of(error), elapsed_s=time.monotonic() - started)
        return Outcome(host=host, value=value, elapsed_s=time.monotonic() - started)
