"""Hosts in memory that have nothing but a lock, each with its own answer to whoever wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from orchestrator.errors import DsdeployError, HostError
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.ports import Remote
from orchestrator.remote.at_once import at_once

T = TypeVar("T")
OnEvent = Callable[[Mapping[str, Any]], None]
OnEnd = Callable[[Any | DsdeployError], None]


@dataclass
class LockHost:
    """The part of a `Remote` that locks need, and its only conversation; without `answer` it is silent for good."""

    host: str
    answer: Mapping[str, Any] | DsdeployError | None = field(default_factory=lambda: {"event": "held", "note": None})
    """An event, or the error that ends the conversation."""
    is_deaf: bool = False
    """Whether words to it block until its connection is closed."""
    is_gone: bool = False
    """Whether its connection was lost before anybody asked."""
    heard: list[str] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)
    on_word: Callable[[str], None] = lambda _word: None
    _on_end: OnEnd | None = None

    def converse(self, operation: str, parameters: Mapping[str, Any], *, on_event: OnEvent, on_end: OnEnd) -> LockHost:
        assert operation == "hold"
        if self.is_gone:
            raise HostError(f"the connection to {self.host} was lost")
        self.parameters, self._on_end = parameters, on_end
        if isinstance(self.answer, DsdeployError):
            self.end(self.answer)
        elif self.answer is not None:
            on_event(self.answer)
        return self

    def tell(self, message: Mapping[str, Any], payload: bytes = b"") -> None:  # noqa: ARG002 - as in the port
        if self.is_deaf:
            self.is_over.wait()
            raise HostError(f"the connection to {self.host} was lost")
        if self.is_over.is_set():
            return
        self.heard.append(message["do"])
        self.on_word(message["do"])
        if message["do"] == "release":
            self.end({})

    def request(self, operation: str, parameters: Mapping[str, Any], *, timeout_s: float | None = None) -> Any:
        assert (operation, parameters) == ("ping", {})
        if self.answer is None:
            raise HostError(f"{self.host} did not answer `ping` within {timeout_s:g} s")
        return {}

    def end(self, result: Any | DsdeployError) -> None:
        """End the conversation; again does nothing."""
        if self._on_end is not None and not self.is_over.is_set():
            self.is_over.set()
            self._on_end(result)


class LockFleet:
    """Asks all hosts at once."""

    def __init__(self, hosts: Sequence[LockHost]) -> None:
        self.hosts = {host.host: host for host in hosts}

    def each(
        self,
        hosts: Sequence[str],
        task: Callable[[Remote], T],
        *,
        on_done: Callable[[Outcome[T]], None] | None = None,
    ) -> Outcomes[T]:
        def ask(host: str) -> Outcome[T]:
            try:
                return Outcome(host=host, value=task(self.remote(host)))
            except DsdeployError as error:
                return Outcome(host=host, failure=Failure.of(error))

        outcomes: dict[int, Outcome[T]] = {}
        for index, outcome in at_once(ask, hosts):
            outcomes[index] = outcome
            if on_done is not None:
                on_done(outcome)
        return Outcomes(items=tuple(outcomes[index] for index in range(len(hosts))))

    def remote(self, host: str) -> Remote:
        return cast("Remote", self.hosts[host])
