"""Relays whose sources, disks or controllers fail: what is told, what is kept, and what never gets the final name."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent_client import Refused
from relay_peers import CHUNK_BYTES, CONTENTS, GROUP_CHUNKS, Cargo, RelayAgent, parameters_of, tls_context

from orchestrator.fanout.certificates import RunAuthority

pytestmark = pytest.mark.process

Open = Callable[[str], RelayAgent]


def final_files(agent: RelayAgent, cargo: Cargo) -> list[str]:
    return [path for path in cargo.contents if agent.path_of(path).exists()]


def feed_the_rest(agent: RelayAgent, cargo: Cargo) -> None:
    """Bring a relay that lost its source to its end."""
    agent.pieces(cargo.stream(agent.feed()))
    agent.until("whole")
    assert agent.contents(cargo) == CONTENTS


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_parent_that_is_gone_refuses(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    parent, child = open_agent("parent"), open_agent("child")
    parent.start(cargo, authority)
    child.start(cargo, authority)
    parent.finish()
    child.pull_from(parent)
    lost = child.until("lost")
    assert (lost["attempt"], lost["reason"]) == (1, "refused")
    feed_the_rest(child, cargo)


def test_nothing_answers_where_the_parent_should_be(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, listener: socket.socket
) -> None:
    child = open_agent("child")
    child.start(cargo, authority)
    with socket.create_connection(listener.getsockname()):  # its queue is full: the next one waits for ever
        child.pull("127.0.0.1", listener.getsockname()[1], "0" * 64)
        assert child.until("lost")["reason"] == "unreachable"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_parent_that_dies_in_mid_copy_costs_no_chunk(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, how: signal.Signals
) -> None:
    parent, child = open_agent("parent"), open_agent("child")
    parent.start(cargo, authority)
    child.start(cargo, authority)
    child.pull_from(parent)
    parent.begin_to_hold(cargo, 7)
    child.until_held(7 * CHUNK_BYTES)
    parent.process.send_signal(how)
    assert child.until("lost")["reason"] == "closed"
    feed_the_rest(child, cargo)
    assert child.finish()["received_bytes"] == cargo.total_bytes


def test_a_parent_that_hangs_is_given_up(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    parent, child = open_agent("parent"), open_agent("child")
    parent.start(cargo, authority)
    child.start(cargo, authority)
    child.pull_from(parent)
    parent.begin_to_hold(cargo, 7)
    child.until_held(7 * CHUNK_BYTES)
    parent.process.send_signal(signal.SIGSTOP)
    lost = child.until("lost")
    parent.process.send_signal(signal.SIGCONT)
    assert (lost["attempt"], lost["reason"]) == (1, "silent")
    feed_the_rest(child, cargo)


def test_a_parent_that_waits_itself_is_not_silent(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    parent, child = open_agent("parent"), open_agent("child")
    parent.start(cargo, authority)
    child.start(cargo, authority)
    child.pull_from(parent)
    for _ in range(5):  # signs of life, a second each: more than a child's patience
        assert child.until("at")["held_bytes"] == 0
    parent.pieces(cargo.stream(parent.feed()))
    child.until("whole")


@pytest.mark.parametrize("is_of_this_run", [True, False])
def test_who_is_not_the_expected_one_is_a_stranger(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, *, is_of_this_run: bool
) -> None:
    other, child = open_agent("other"), open_agent("child")
    other.start(cargo, authority if is_of_this_run else RunAuthority())
    child.start(cargo, authority)
    expected = authority.issue("expected") if is_of_this_run else other.credentials
    child.pull(other.ready["address"], other.ready["port"], expected.sha256)
    assert child.until("lost")["reason"] == "stranger"
    assert other.finish()["served_bytes"] == 0


def test_a_parent_that_speaks_no_tls_is_a_stranger(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, listener: socket.socket
) -> None:
    child = open_agent("child")
    child.start(cargo, authority)
    child.pull("127.0.0.1", listener.getsockname()[1], "0" * 64)
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert child.until("lost")["reason"] == "stranger"


def test_of_a_parent_that_serves_wrong_bytes_the_right_ones_are_kept(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, listener: socket.socket, tmp_path: Path
) -> None:
    liar = authority.issue("liar")
    context = tls_context(ssl.PROTOCOL_TLS_SERVER, authority, liar, tmp_path)
    stream = bytearray(cargo.stream([[0, 10]]))
    stream[-5] ^= 1
    heard: list[bytes] = []

    def lie() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as tls:
            heard.append(tls.recv(1 << 16))
            tls.sendall(stream)
            heard.append(tls.recv(1))

    thread = threading.Thread(target=lie)
    thread.start()
    child, grandchild = open_agent("child"), open_agent("grandchild")
    for agent in (child, grandchild):
        agent.start(cargo, authority)
    grandchild.pull_from(child)
    child.pull("127.0.0.1", listener.getsockname()[1], liar.sha256)
    lost = child.until("lost")
    thread.join()
    assert lost["reason"] == "wrong-bytes"
    assert "chunk 9" in lost["text"]
    assert heard == [b"\0\0\0\1" + b"\0\0\0\0" + len(cargo.chunks).to_bytes(4, "big"), b""]
    grandchild.until_held(9 * CHUNK_BYTES)
    assert child.feed() == [[9, len(cargo.chunks)]]
    child.pieces(cargo.stream([[9, len(cargo.chunks)]]))
    for agent in (child, grandchild):
        agent.until("whole")
        assert agent.contents(cargo) == CONTENTS


@pytest.mark.parametrize("place", [0, 1, 40, 1 + 32 * GROUP_CHUNKS, 200_000])
def test_wrong_bytes_of_the_controller_are_told_too(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, place: int
) -> None:
    agent = open_agent("home")
    agent.start(cargo, authority)
    stream = bytearray(cargo.stream(agent.feed()))
    stream[place] ^= 1
    agent.pieces(bytes(stream))
    lost = agent.until("lost")
    assert (lost["attempt"], lost["reason"]) == (1, "wrong-bytes")
    feed_the_rest(agent, cargo)
    assert agent.finish()["received_bytes"] == cargo.total_bytes


def test_a_disk_that_is_too_small_is_refused_before_the_first_byte(
    open_agent: Open, authority: RunAuthority, small_disk: Path
) -> None:
    cargo = Cargo({str(small_disk / "one"): os.urandom(5 << 20), str(small_disk / "two"): os.urandom(5 << 20)})
    agent = open_agent("home")
    number = agent.begin("relay", **parameters_of(cargo, authority, authority.issue("worker"), None))
    with pytest.raises(Refused, match="bytes are free") as refused:
        agent.end(number)
    assert refused.value.kind == "transfer"
    assert refused.value.hint
    assert agent.events == []
    assert final_files(agent, cargo) == []


def test_a_disk_that_fills_in_mid_copy_fails_its_host_alone(
    open_agent: Open, authority: RunAuthority, small_disk: Path
) -> None:
    path = str(small_disk / "one")
    cargo = Cargo({path: os.urandom(5 << 20)})
    agent = open_agent("home")
    agent.start(cargo, authority)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(25 << 20))
    agent.pieces(cargo.stream(agent.feed()))
    with pytest.raises(Refused, match="No space left") as refused:
        agent.end(agent.number)
    assert refused.value.kind == "transfer"
    assert refused.value.hint
    assert not Path(path).exists()
    assert agent.ask("ping") == {}


@pytest.mark.parametrize("how", ["cancel", "hang-up"])
def test_a_relay_that_is_given_up_stops_to_listen_and_leaves_its_parts(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, how: str
) -> None:
    agent = open_agent("home")
    agent.start(cargo, authority)
    agent.begin_to_hold(cargo, 5)
    if how == "cancel":
        agent.send({"id": 99, "op": "cancel", "target": agent.number})
        with pytest.raises(Refused, match="cancelled"):
            agent.end(agent.number)
        agent.tell("finish")  # too late, and of no harm
        assert agent.ask("ping") == {}
    else:
        assert agent.hang_up() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", agent.ready["port"]))
    assert len(agent.parts()) == 2
    assert final_files(agent, cargo) == ["cache:wheels/cc/empty"]


def test_a_session_that_ends_under_a_flood_of_pieces_leaves_nothing_hanging(
    open_agent: Open, cargo: Cargo, authority: RunAuthority
) -> None:
    agent = open_agent("home")
    agent.start(cargo, authority)
    stream = cargo.stream(agent.feed())
    agent.pieces(stream, size=1000)
    assert agent.hang_up() == 0
    assert len(agent.parts()) + len(final_files(agent, cargo)) == len(CONTENTS)


def test_what_it_is_told_must_make_sense(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    agent = open_agent("home")
    agent.start(cargo, authority)
    agent.tell("dance")
    with pytest.raises(Refused, match="dance") as refused:
        agent.end(agent.number)
    assert refused.value.kind == "usage"
