"""Hold the locks of all hosts of a deployment: every host that can be asked, or, where another one is first, none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from orchestrator.errors import DsdeployError, HostError, LockedError
from orchestrator.fanout.messengers import Messengers
from orchestrator.model.deployment import DeploymentIdentity
from orchestrator.model.events import HostProgress, Note, Stage
from orchestrator.model.outcome import Outcomes
from orchestrator.planning.folding import fold_hosts
from orchestrator.ports import Conversation, Fleet, Remote, Reporter
from orchestrator.stages.on_hosts import on_hosts

_PING_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the controller speaks while it has locks, in seconds."""

    alive_every_s: float = 10.0
    """How often it says so: an agent that hears nothing for 60 s ends. As often it asks those that wait for a sign."""
    release_s: float = 5.0
    """For agents to say that they have let go."""


_PACE = Pace()
_AS_THE_AGENT_HAS_THEM: Mapping[str, float] = MappingProxyType({})
_OWNER_S = 15.0
"""A little more than an agent needs to find a controller silent."""
_RELEASE = {"do": "release"}


@contextmanager
def hold_hosts(
    hosts: Sequence[str], identity: DeploymentIdentity, *, fleet: Fleet, reporter: Reporter, pace: Pace = _PACE
) -> Iterator[Outcomes[None]]:
    """Have the lock of every host for the length of the block; yield which could not be asked.

    Raises LockedError, having let go of all, when another deployment has any of them. Never raises from letting go: an
    agent whose connection is lost lets go by itself.
    """
    holds = _Holds(hosts, identity, reporter, pace)
    with holds.kept_alive():
        outcomes = on_hosts(Stage.LOCK, hosts, holds.take_or_let_go, fleet=fleet, reporter=reporter)
        holds.refuse_locked()
        holds.tell_notes()
        yield outcomes


@contextmanager
def hold_free_hosts(
    hosts: Sequence[str], identity: DeploymentIdentity, *, fleet: Fleet, reporter: Reporter, pace: Pace = _PACE
) -> Iterator[Outcomes[None]]:
    """Have the lock of every host that no other deployment has, for the length of the block; yield the failures too.

    The owner may be a controller that died a moment ago: it is given so long that its silence tells.
    """
    limits = {"older_s": _OWNER_S, "younger_s": _OWNER_S}
    holds = _Holds(hosts, identity, reporter, pace, limits)
    with holds.kept_alive():
        outcomes = on_hosts(Stage.LOCK, hosts, holds.take, fleet=fleet, reporter=reporter)
        holds.tell_notes()
        yield outcomes


class _Holds:
    """The locks of all hosts, each with a conversation of its own."""

    def __init__(
        self,
        hosts: Sequence[str],
        identity: DeploymentIdentity,
        reporter: Reporter,
        pace: Pace,
        limits: Mapping[str, float] = _AS_THE_AGENT_HAS_THEM,
    ) -> None:
        self._parameters = {
            "deployment": identity.id,
            "author": identity.author,
            "pid": os.getpid(),
            "limits": dict(limits),
        }
        self._holds = {host: _Hold(host, reporter) for host in hosts}
        self._messengers = Messengers()
        self._reporter = reporter
        self._pace = pace

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Speak to every agent now and then, also while it waits for the lock; at the end let go of all."""
        is_over = threading.Event()

        def speak() -> None:
            while not is_over.wait(self._pace.alive_every_s):
                self._tell_all(_Hold.tell_alive)

        voice = threading.Thread(target=speak, name="locks", daemon=True)
        voice.start()
        try:
            yield
        finally:
            is_over.set()
            self._let_go()
            voice.join()
            until = time.monotonic() + self._pace.release_s
            for hold in self._holds.values():
                hold.await_end(until)

    def take(self, remote: Remote) -> None:
        """Take one host's lock. Raises LockedError, and HostError when the host cannot be asked."""
        self._holds[remote.host].take(remote, self._parameters, self._pace.alive_every_s)

    def take_or_let_go(self, remote: Remote) -> None:
        """Take one host's lock. The first LockedError lets go of all, at once: an older deployment waits for them."""
        try:
            self.take(remote)
        except LockedError:
            self._let_go()
            raise

    def refuse_locked(self) -> None:
        """Raise LockedError when another deployment has any of the hosts; it tells who has which."""
        refusals = [hold.end for hold in self._holds.values() if isinstance(hold.end, LockedError)]
        if refusals:
            obstacles = {host: hold.obstacle for host, hold in self._holds.items() if hold.obstacle is not None}
            told = "\n".join(f"{hosts}: {obstacle}" for obstacle, hosts in _by_text(obstacles).items())
            raise LockedError(told, hint=refusals[0].hint)

    def tell_notes(self) -> None:
        """Tell what was found in the locks."""
        notes = {host: hold.note for host, hold in self._holds.items() if hold.note is not None}
        for note, hosts in _by_text(notes).items():
            self._reporter.emit(Note(text=f"{hosts}: {note}"))

    def _let_go(self) -> None:
        for hold in self._holds.values():
            hold.is_given_up.set()
        self._tell_all(_Hold.tell_release)

    def _tell_all(self, errand: Callable[[_Hold], None]) -> None:
        """Speak to every host, waiting for none: one that is stuck must not cost the others their locks."""
        for host, hold in self._holds.items():
            self._messengers.send(host, partial(errand, hold))


class _Hold:
    """One host's lock: wished for, then held, or refused."""

    def __init__(self, host: str, reporter: Reporter) -> None:
        self.is_given_up = threading.Event()
        self.note: str | None = None
        self.obstacle: str | None = None
        """Who has the lock instead, in the agent's words; the deployment waits for it, or was refused."""
        self.end: object = None
        """The agent's last word: its result, or an error."""
        self._host = host
        self._reporter = reporter
        self._conversation: Conversation | None = None
        self._is_held = False
        self._has_answer = threading.Event()
        self._has_ended = threading.Event()

    def take(self, remote: Remote, parameters: Mapping[str, Any], ping_every_s: float) -> None:
        """Wait until the lock is held. Raises LockedError, and HostError when the host cannot be asked any more."""
        if not self.is_given_up.is_set():
            self._conversation = remote.converse("hold", parameters, on_event=self._hear, on_end=self._note_end)
            if self.is_given_up.is_set():  # meanwhile, so that nobody has told the agent
                self._conversation.tell(_RELEASE)
            while not self._has_answer.wait(ping_every_s):
                remote.request("ping", {}, timeout_s=_PING_S)  # notices a host that is silent for good
        if isinstance(self.end, DsdeployError):
            raise self.end
        if not self._is_held:
            raise HostError(f"{self._host} was let go: the deployment does not begin")

    def tell_alive(self) -> None:
        """Say that this controller is there. Raises HostError when the connection is lost."""
        if self._conversation is not None:
            self._conversation.tell({"do": "alive"})

    def tell_release(self) -> None:
        """Give the lock back. Raises HostError when the connection is lost: then the agent gives it back by itself."""
        if self._conversation is not None:
            self._conversation.tell(_RELEASE)

    def await_end(self, until: float) -> None:
        """Wait until the agent says that it is over, but not past a time of `time.monotonic`."""
        if self._conversation is not None:
            self._has_ended.wait(max(until - time.monotonic(), 0.0))

    def _hear(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "held":
            self.note, self.obstacle = event["note"], None
            self._is_held = True
            self._has_answer.set()
        else:
            self.obstacle = event["text"]
            self._reporter.emit(HostProgress(stage=Stage.LOCK, host=self._host, text=event["text"]))

    def _note_end(self, end: object) -> None:
        self.end = end
        if isinstance(end, LockedError):
            self.obstacle = end.message
        self._has_answer.set()
        self._has_ended.set()


def _by_text(texts: Mapping[str, str]) -> dict[str, str]:
    """Return text → the hosts that it is true of, folded."""
    hosts: dict[str, list[str]] = {}
    for host, text in texts.items():
        hosts.setdefault(text, []).append(host)
    return {text: fold_hosts(found) for text, found in hosts.items()}
