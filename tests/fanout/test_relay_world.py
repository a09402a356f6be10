"""The simulated hosts themselves, led by hand: what they say is what the protocol of the operation `relay` says."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.relay_nature import Death, Nature, Peers, Service
from fakes.relay_world import RelayWorld

from orchestrator.errors import DsdeployError, HostError, TransferError
from orchestrator.fanout.certificates import Credentials, RunAuthority
from orchestrator.ports import Conversation
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet

CHUNKS = [bytes([number]) * 16_000 for number in range(4)] + [b"end"]
CONTENT = b"".join(CHUNKS)
GROUPS = [CHUNKS[:2], CHUNKS[2:4], CHUNKS[4:]]
LISTS = [b"".join(hashlib.sha256(chunk).digest() for chunk in group) for group in GROUPS]


class Led:
    """One relay, and what it has said."""

    def __init__(self, name: str, credentials: Credentials) -> None:
        self.name = name
        self.credentials = credentials
        self.conversation: Conversation
        self.said: queue.Queue[Mapping[str, Any]] = queue.Queue()
        self.ended: queue.Queue[Any | DsdeployError] = queue.Queue()

    def tell(self, do: str, payload: bytes = b"", **fields: Any) -> None:
        self.conversation.tell({"do": do, **fields}, payload)

    def hear(self, event: str) -> Mapping[str, Any]:
        """Wait for its next event of this name."""
        while (said := self.said.get(timeout=30))["event"] != event:
            pass
        return said

    def pull(self, parent: Led, ready: Mapping[str, Any], *, attempt: int = 1) -> None:
        pinned = parent.credentials.sha256
        self.tell("pull", attempt=attempt, address=ready["address"], port=ready["port"], certificate_sha256=pinned)

    def feed(self, *, attempt: int = 1) -> None:
        """Send everything, a group at a time."""
        self.tell("feed", attempt=attempt)
        self.hear("wants")
        for listed, group in zip(LISTS, GROUPS, strict=True):
            units = b"L" + listed + b"".join(b"C" + chunk for chunk in group)
            self.tell("piece", units, attempt=attempt)


@contextmanager
def relays(world: RelayWorld) -> Iterator[Callable[[str], Led]]:
    authority = RunAuthority()
    digests = [hashlib.sha256(listed).hexdigest() for listed in LISTS]
    file = {"path": "cache:f", "sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT), "digests": digests}
    cargo = {"files": [file], "chunk_bytes": 16_000, "group_chunks": 2, "ports": None, "tell_every_s": 0.1}
    settings = DialSettings(ssh_config=Path("/dev/null"))
    with SshFleet(world.hosts, settings=settings, open_channel=world.open_channel) as fleet, world:

        def start(name: str) -> Led:
            led = Led(name, authority.issue(name))
            tls = {
                "authority": authority.certificate_pem,
                "certificate": led.credentials.certificate_pem,
                "key": led.credentials.key_pem,
            }
            led.conversation = fleet.remote(name).converse(
                "relay", {**cargo, "tls": tls}, on_event=led.said.put, on_end=led.ended.put
            )
            return led

        yield start


def test_what_is_fed_to_one_host_reaches_the_one_that_pulls_from_it() -> None:
    world = RelayWorld({"a": Nature(), "b": Nature()})
    with relays(world) as start:
        first, second = start("a"), start("b")
        second.hear("ready")
        second.pull(first, first.hear("ready"))
        first.feed()
        for relay in (first, second):
            relay.hear("whole")
        for relay in (first, second):
            relay.tell("finish")
        results = [relay.ended.get(timeout=30) for relay in (first, second)]
    size = len(CONTENT)
    assert results == [
        {"held_bytes": size, "received_bytes": size, "served_bytes": size},
        {"held_bytes": size, "received_bytes": size, "served_bytes": 0},
    ]
    assert world.complaints == []


def test_a_host_asks_for_what_it_lacks_only() -> None:
    with relays(RelayWorld({"a": Nature(held=0.5)})) as start:
        relay = start("a")
        assert relay.hear("ready")["held_bytes"] == 2 * 16_000
        relay.tell("feed", attempt=7)
        assert relay.hear("wants") == {"id": 1, "event": "wants", "attempt": 7, "ranges": [[2, 5]]}


@pytest.mark.parametrize(
    ("nature", "reason"),
    [
        (Nature(peers=Peers.REFUSED), "refused"),
        (Nature(peers=Peers.DROPPED), "unreachable"),
        (Nature(service=Service.NOTHING), "silent"),
        (Nature(service=Service.WRONG_BYTES), "wrong-bytes"),
        (Nature(service=Service.STRANGER), "stranger"),
    ],
)
def test_a_bad_parent_is_lost_for_the_reason_that_it_gives(nature: Nature, reason: str) -> None:
    with relays(RelayWorld({"a": nature, "b": Nature()})) as start:
        parent, child = start("a"), start("b")
        child.hear("ready")
        child.pull(parent, parent.hear("ready"), attempt=3)
        lost = child.hear("lost")
    assert (lost["attempt"], lost["reason"]) == (3, reason)


@pytest.mark.parametrize(
    ("death", "reason"), [(Death.KILLED, "closed"), (Death.CUT, "silent"), (Death.FROZEN, "silent")]
)
def test_a_parent_that_dies_is_lost_and_what_it_gave_is_kept(death: Death, reason: str) -> None:
    world = RelayWorld({"a": Nature(death=death, dies_at=0.7, rate=200e3), "b": Nature(rate=200e3)})
    with relays(world) as start:
        parent, child = start("a"), start("b")
        child.hear("ready")
        child.pull(parent, parent.hear("ready"))
        parent.feed()
        assert child.hear("lost")["reason"] == reason
        child.tell("feed", attempt=2)
        wanted = child.hear("wants")["ranges"]
    assert wanted[0][0] > 0
    assert wanted[-1] == [wanted[-1][0], 5]


@pytest.mark.parametrize("death", [Death.KILLED, Death.CUT])
def test_a_host_that_dies_ends_its_session(death: Death) -> None:
    with relays(RelayWorld({"a": Nature(death=death, dies_at=0)})) as start:
        assert isinstance(start("a").ended.get(timeout=30), HostError)


def test_a_frozen_host_ends_nothing_by_itself() -> None:
    world = RelayWorld({"a": Nature(death=Death.FROZEN, dies_at=0), "b": Nature()})
    with relays(world) as start:
        frozen = start("a")
        alive = start("b")
        while world.now < 20:
            alive.hear("at")
        assert frozen.ended.empty()


@pytest.mark.parametrize("is_foreseen", [True, False])
def test_a_full_disk_ends_the_operation(*, is_foreseen: bool) -> None:
    world = RelayWorld({"a": Nature(disk=0.5, is_disk_foreseen=is_foreseen)})
    with relays(world) as start:
        relay = start("a")
        if not is_foreseen:
            relay.feed()
        assert isinstance(relay.ended.get(timeout=30), TransferError)
    assert bool(world.said("a", "ready")) is not is_foreseen


def test_a_host_sees_what_another_put_on_their_file_system_when_it_looks() -> None:
    world = RelayWorld({"a": Nature(filesystem="home"), "b": Nature(filesystem="home")})
    with relays(world) as start:
        first, second = start("a"), start("b")
        assert first.hear("ready")["filesystem_id"] == second.hear("ready")["filesystem_id"]
        first.feed()
        first.hear("whole")
        second.tell("look")
        assert second.hear("ready")["held_bytes"] == len(CONTENT)


def test_a_host_that_holds_everything_listens_when_it_is_asked_to() -> None:
    with relays(RelayWorld({"a": Nature(held=1), "b": Nature()})) as start:
        seed, child = start("a"), start("b")
        assert seed.hear("ready")["port"] is None
        child.hear("ready")
        seed.tell("listen")
        child.pull(seed, seed.hear("ready"))
        child.hear("whole")


@pytest.mark.parametrize(
    "units",
    [
        b"C" + CHUNKS[0],
        b"L" + LISTS[1],
        b"L" + LISTS[0] + b"C" + CHUNKS[1],
        b"?",
    ],
    ids=["a chunk before its list", "another list", "another chunk", "nonsense"],
)
def test_a_controller_that_feeds_something_else_is_complained_about(units: bytes) -> None:
    world = RelayWorld({"a": Nature()})
    with relays(world) as start:
        relay = start("a")
        relay.tell("feed", attempt=1)
        relay.tell("piece", units, attempt=1)
        assert relay.hear("lost")["reason"] == "wrong-bytes"
    assert len(world.complaints) == 1


def test_a_certificate_that_is_another_hosts_is_complained_about() -> None:
    world = RelayWorld({"a": Nature(), "b": Nature()})
    with relays(world) as start:
        first, second = start("a"), start("b")
        second.hear("ready")
        ready = first.hear("ready")
        second.pull(second, ready)
        assert second.hear("lost")["reason"] == "stranger"
    assert len(world.complaints) == 1
