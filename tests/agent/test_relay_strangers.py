"""Who connects to a relay without being one of the run's hosts, or without sense, gets nothing."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from relay_peers import CONTENTS, Cargo, RelayAgent, tls_context, wish

from orchestrator.fanout.certificates import RunAuthority

pytestmark = pytest.mark.process


@pytest.fixture
def seed(open_agent: Callable[[str], RelayAgent], cargo: Cargo, authority: RunAuthority) -> RelayAgent:
    """A relay that holds everything, and listens."""
    agent = open_agent("seed")
    agent.start(cargo, authority)
    agent.pieces(cargo.stream(agent.feed()))
    agent.until("whole")
    return agent


def connect(agent: RelayAgent) -> socket.socket:
    return socket.create_connection((agent.ready["address"], agent.ready["port"]), timeout=10)


def read_to_the_end(connection: socket.socket) -> bytes:
    content = b""
    try:
        while piece := connection.recv(1 << 16):
            content += piece
    except (ConnectionResetError, ssl.SSLError):
        pass
    return content


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_who_speaks_no_tls_gets_nothing(seed: RelayAgent, words: bytes) -> None:
    with connect(seed) as connection:
        connection.sendall(words)
        assert b"whl" not in read_to_the_end(connection)
    assert seed.finish()["served_bytes"] == 0


@pytest.mark.parametrize("who", ["nobody", "somebody of another run"])
def test_who_has_no_certificate_of_this_run_gets_nothing(
    seed: RelayAgent, authority: RunAuthority, tmp_path: Path, who: str
) -> None:
    credentials = None if who == "nobody" else RunAuthority().issue("worker")
    context = tls_context(ssl.PROTOCOL_TLS_CLIENT, authority, credentials, tmp_path)
    with connect(seed) as connection, context.wrap_socket(connection) as tls:
        tls.sendall(wish((0, 1)))
        assert read_to_the_end(tls) == b""
    assert seed.finish()["served_bytes"] == 0


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1_2])
def test_who_has_no_tls_1_3_gets_nothing(
    seed: RelayAgent, authority: RunAuthority, tmp_path: Path, old: ssl.TLSVersion
) -> None:
    context = tls_context(ssl.PROTOCOL_TLS_CLIENT, authority, authority.issue("old"), tmp_path)
    context.minimum_version = context.maximum_version = old
    with connect(seed) as connection, pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(connection)


@pytest.mark.parametrize(
    "words",
    [
        wish((0, 10_000)),
        wish((5, 3)),
        wish((3, 5), (2, 6)),
        b"\xff\xff\xff\xff",
        wish((0, 1)) + b"more",
    ],
)
def test_a_child_that_asks_nonsense_is_hung_up_on(
    seed: RelayAgent, authority: RunAuthority, tmp_path: Path, words: bytes
) -> None:
    context = tls_context(ssl.PROTOCOL_TLS_CLIENT, authority, authority.issue("fool"), tmp_path)
    with connect(seed) as connection, context.wrap_socket(connection) as tls:
        tls.sendall(words)
        assert read_to_the_end(tls) == b""


def test_a_child_gets_what_it_asks_for_and_nothing_else(
    seed: RelayAgent, cargo: Cargo, authority: RunAuthority, tmp_path: Path
) -> None:
    ranges = [(2, 3), (5, 9), (60, len(cargo.chunks))]
    expected = cargo.stream(ranges)
    context = tls_context(ssl.PROTOCOL_TLS_CLIENT, authority, authority.issue("child"), tmp_path)
    content = b""
    with connect(seed) as connection, context.wrap_socket(connection) as tls:
        request = wish(*ranges)
        tls.sendall(request[:5])
        tls.sendall(request[5:])
        while len(content) < len(expected) + 2:
            content += tls.recv(1 << 16)
    assert content == expected + b".."


def test_strangers_in_a_crowd_keep_no_child_out(
    open_agent: Callable[[str], RelayAgent], seed: RelayAgent, cargo: Cargo, authority: RunAuthority
) -> None:
    crowd = [connect(seed) for _ in range(80)]
    child = open_agent("child")
    child.start(cargo, authority)
    child.pull_from(seed)
    child.until("whole")
    assert child.contents(cargo) == CONTENTS
    for connection in crowd:
        connection.close()
