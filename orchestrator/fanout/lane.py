"""One freight on its way: what agents say becomes decisions, and decisions become words to agents."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.errors import DsdeployError, HostError, TransferError
from orchestrator.fanout.cargo import Cargo, Freight
from orchestrator.fanout.certificates import Credentials
from orchestrator.fanout.feeding import Feed
from orchestrator.fanout.messengers import Messengers
from orchestrator.model.events import Event, Note, TopologyPlanned
from orchestrator.model.fanout import FanOutSettings
from orchestrator.model.outcome import Failure
from orchestrator.planning.fanout import choose_chunks, choose_degree, order_hosts
from orchestrator.planning.relay_hosts import GiveUp, Listen, Look, Say, Step, Take
from orchestrator.planning.relay_topology import topology_of
from orchestrator.planning.relaying import Relaying
from orchestrator.ports import Conversation, Remote

Happening = Callable[[float], None]
"""Something that happened, to be taken in by the one thread that decides; it is given the time."""

_TELLS_PER_S = 100
"""What all hosts together tell of their progress."""
_TELL_EVERY_S = (0.2, 1.0)
"""Bounds for a single host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every lane of a run works with."""

    settings: FanOutSettings
    authority_pem: str
    credentials: Callable[[str], Credentials]
    """Host → its own, the same each time."""
    post: Callable[[Happening], None]
    emit: Callable[[Event], None]
    on_progress: Callable[[str], None]
    """Hears of a host whenever it holds more."""
    on_over: Callable[[str], None]
    """Hears once of each host that is whole or has failed."""
    messengers: Messengers


class Lane:
    """One freight; all but `open` and `read` belong to the thread that decides."""

    def __init__(self, freight: Freight, around: Surroundings, now_s: float) -> None:
        settings, count = around.settings, len(freight.hosts)
        degree = choose_degree(settings.shape, count, freight.size_bytes)
        self.freight = freight
        self.relaying = Relaying(order_hosts(freight.hosts, settings.racks), degree=degree, now_s=now_s)
        self.failures: dict[str, Failure] = {}
        self._sizes = choose_chunks(freight.size_bytes, count, degree)
        self._tell_every_s = min(max(_TELL_EVERY_S[0], count / _TELLS_PER_S), _TELL_EVERY_S[1])
        self._around = around
        self._cargo: Future[Cargo] = Future()
        self._conversations: dict[str, Future[Conversation]] = {name: Future() for name in freight.hosts}
        self._addresses: dict[str, tuple[str, int]] = {}
        self._feeds: dict[str, list[Feed]] = {}
        self._over: set[str] = set()
        self._ended: set[str] = set()
        self._steps: deque[Step] = deque()
        self._is_planned = False

    @property
    def fed_bytes(self) -> int:
        """What the controller has sent of it."""
        return sum(feed.sent_bytes for feeds in self._feeds.values() for feed in feeds)

    @property
    def is_over(self) -> bool:
        """Whether every host is whole or has failed."""
        return len(self._over) == len(self.freight.hosts)

    @property
    def has_ended(self) -> bool:
        """Whether no agent works at it any more."""
        return self._ended >= self._over - self.failures.keys()

    def read(self) -> None:
        """Read the files, while hosts are being connected to."""
        try:
            self._cargo.set_result(Cargo(self.freight.parcels, self._sizes))
        except TransferError as error:
            self._cargo.set_exception(error)

    def open(self, remote: Remote) -> None:
        """Begin on one host. Raises TransferError when the files are not what they should be."""
        host = remote.host
        credentials = self._around.credentials(host)
        parameters = {
            **self._cargo.result().parameters,
            "tls": {
                "authority": self._around.authority_pem,
                "certificate": credentials.certificate_pem,
                "key": credentials.key_pem,
            },
            "ports": self._around.settings.relay_ports,
            "tell_every_s": self._tell_every_s,
        }
        conversation = remote.converse(
            "relay",
            parameters,
            on_event=lambda event: self._around.post(partial(self._hear, host, event)),
            on_end=lambda end: self._around.post(partial(self._end, host, end)),
        )
        self._conversations[host].set_result(conversation)

    def fail(self, host: str, failure: Failure, now_s: float) -> None:
        """Take that a host is out; one that is whole stays so."""
        if host not in self._over:
            self.failures[host] = failure
        self._stop_feeds(host)
        self._cancel(host)
        self._carry_out(self.relaying.failed(host, now_s), now_s)
        self._check(host)

    def tick(self, now_s: float) -> None:
        """Let time pass."""
        self._carry_out(self.relaying.tick(now_s), now_s)

    def finish(self) -> None:
        """Let every agent that still serves end."""
        for host in self._over - self._ended - self.failures.keys():
            self._tell(host, {"do": "finish"})

    def stop(self) -> None:
        """Send nothing more."""
        for host in self._feeds:
            self._stop_feeds(host)

    def _hear(self, host: str, event: Mapping[str, Any], now_s: float) -> None:
        relaying = self.relaying
        match event["event"]:
            case "ready":
                if event["port"] is not None:
                    self._addresses[host] = (event["address"], event["port"])
                steps = relaying.ready(
                    host,
                    held_bytes=event["held_bytes"],
                    total_bytes=event["total_bytes"],
                    serves=event["port"] is not None,
                    filesystem=event["filesystem_id"],
                    now_s=now_s,
                )
            case "at":
                relaying.at(host, event["held_bytes"], now_s)
                self._around.on_progress(host)
                return
            case "wants":
                self._feed(host, event["attempt"], event["ranges"])
                return
            case "lost":
                steps = relaying.lost(host, event["attempt"], event["reason"], event["text"], now_s)
            case "whole":
                self._stop_feeds(host)
                steps = relaying.whole(host, now_s)
            case _:
                return
        self._carry_out(steps, now_s)
        self._check(host)

    def _end(self, host: str, end: object, now_s: float) -> None:
        self._ended.add(host)
        if isinstance(end, DsdeployError):
            self.fail(host, Failure.of(end), now_s)

    def _carry_out(self, steps: list[Step], now_s: float) -> None:
        """Carry out steps; those that follow from one of them come after the others."""
        is_first = not self._steps
        self._steps.extend(steps)
        while is_first and self._steps:
            self._carry_out_one(self._steps[0], now_s)
            self._steps.popleft()
        if not self._is_planned and any(isinstance(step, Take) for step in steps):
            self._is_planned = True
            self._around.emit(TopologyPlanned(topology=topology_of(self.relaying.hosts)))

    def _carry_out_one(self, step: Step, now_s: float) -> None:
        match step:
            case Take():
                self._stop_feeds(step.host)
                self._tell(step.host, self._source(step))
            case Listen():
                self._tell(step.host, {"do": "listen"})
            case Look():
                self._tell(step.host, {"do": "look"})
            case GiveUp():
                self.fail(step.host, Failure.of(HostError(f"{step.host}: {step.reason}")), now_s)
            case Say():
                self._around.emit(Note(text=step.text, hint=step.hint))

    def _source(self, step: Take) -> dict[str, Any]:
        if step.parent is None:
            return {"do": "feed", "attempt": step.attempt}
        address, port = self._addresses[step.parent]
        pin = self._around.credentials(step.parent).sha256
        return {"do": "pull", "attempt": step.attempt, "address": address, "port": port, "certificate_sha256": pin}

    def _cancel(self, host: str) -> None:
        conversation = self._conversations[host]
        if conversation.done() and host not in self._ended:
            self._around.messengers.send(host, conversation.result().cancel)

    def _tell(self, host: str, message: Mapping[str, Any]) -> None:
        self._around.messengers.send(host, lambda: self._conversations[host].result().tell(message))

    def _feed(self, host: str, attempt: int, ranges: list[tuple[int, int]]) -> None:
        known = self.relaying.hosts[host]
        if known.attempt != attempt or known.parent is not None or known.is_over:
            return
        units = self._cargo.result().stream(ranges)
        feed = Feed(
            self._conversations[host].result(),
            attempt,
            units,
            on_fault=lambda error: self._around.post(partial(self._unreadable, host, error)),
        )
        self._feeds.setdefault(host, []).append(feed)

    def _unreadable(self, host: str, error: OSError, now_s: float) -> None:
        failure = Failure.of(TransferError(f"{error.filename} cannot be read: {error.strerror}"))
        self.fail(host, failure, now_s)

    def _stop_feeds(self, host: str) -> None:
        for feed in self._feeds.get(host, ()):
            feed.stop()

    def _check(self, host: str) -> None:
        if host not in self._over and self.relaying.hosts[host].is_over:
            self._over.add(host)
            self._around.on_over(host)
