"""Relays that do as they should: files go from host to host, whole and as they were, and nothing goes twice."""

from __future__ import annotations

import itertools
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_client import working_python
from relay_peers import CHUNK_BYTES, CONTENTS, GROUP_CHUNKS, Cargo, RelayAgent

from orchestrator.fanout.certificates import RunAuthority

pytestmark = pytest.mark.process

Open = Callable[..., RelayAgent]
GROUP_BYTES = CHUNK_BYTES * GROUP_CHUNKS


def put_there(agent: RelayAgent, contents: dict[str, bytes]) -> None:
    """As if an earlier run had brought it."""
    for path, content in contents.items():
        agent.path_of(path).parent.mkdir(parents=True, exist_ok=True)
        agent.path_of(path).write_bytes(content)


def test_files_go_down_a_chain(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    agents = [open_agent(str(number)) for number in range(4)]
    for agent in agents:
        ready = agent.start(cargo, authority)
        assert (ready["held_bytes"], ready["total_bytes"]) == (0, cargo.total_bytes)
        assert (ready["address"], ready["port_error"]) == ("127.0.0.1", None)
        assert ready["filesystem_id"]
    for parent, child in itertools.pairwise(agents):
        child.pull_from(parent)
    agents[0].pieces(cargo.stream(agents[0].feed()))
    for agent in agents:
        agent.until("whole")
        assert agent.contents(cargo) == CONTENTS
        assert agent.parts() == []
        assert {agent.path_of(path).stat().st_mode & 0o777 for path in CONTENTS} == {0o640}
    everything = cargo.total_bytes
    for agent in agents:
        served = 0 if agent is agents[-1] else everything
        result = {"held_bytes": everything, "received_bytes": everything, "served_bytes": served}
        assert agent.finish() == result


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_hosts_of_any_python_get_along(open_agent: Open, cargo: Cargo, authority: RunAuthority, version: str) -> None:
    python = working_python(version)
    if python is None:
        pytest.skip(f"there is no python{version} here")
    agents = [open_agent("ours"), open_agent("theirs", python=python), open_agent("our-other")]
    for agent in agents:
        agent.start(cargo, authority)
    for parent, child in itertools.pairwise(agents):
        child.pull_from(parent)
    agents[0].pieces(cargo.stream(agents[0].feed()))
    for agent in agents:
        agent.until("whole")
        assert agent.contents(cargo) == CONTENTS


@pytest.mark.parametrize(("chunk_bytes", "group"), [(1, 1000), (16_383, 1), (500_000, 3), (1 << 20, 1)])
def test_any_size_of_chunk_will_do(open_agent: Open, authority: RunAuthority, chunk_bytes: int, group: int) -> None:
    size = 20_000 if chunk_bytes == 1 else 3_000_001
    cargo = Cargo({"cache:wheels/aa/x.whl": random.Random(3).randbytes(size)}, chunk_bytes=chunk_bytes, group=group)
    seed, child = open_agent("seed"), open_agent("child")
    seed.start(cargo, authority)
    child.start(cargo, authority)
    child.pull_from(seed)
    seed.pieces(cargo.stream(seed.feed()))
    child.until("whole")
    assert child.contents(cargo) == cargo.contents


def test_a_host_that_has_it_all_listens_when_it_is_asked_to(
    open_agent: Open, cargo: Cargo, authority: RunAuthority
) -> None:
    seed, *children = (open_agent(name) for name in ("seed", "left", "right"))
    put_there(seed, CONTENTS)
    ready = seed.start(cargo, authority)
    assert (ready["held_bytes"], ready["port"]) == (cargo.total_bytes, None)
    seed.until("whole")
    seed.tell("listen")
    seed.ready = seed.until("ready")
    for child in children:
        child.start(cargo, authority)
        child.pull_from(seed)
    for child in children:
        child.until("whole")
        assert child.contents(cargo) == CONTENTS
        child.finish()
    assert seed.finish() == {
        "held_bytes": cargo.total_bytes,
        "received_bytes": 0,
        "served_bytes": 2 * cargo.total_bytes,
    }


def test_another_parent_goes_on_at_the_chunk_where_the_first_one_stood(
    open_agent: Open, cargo: Cargo, authority: RunAuthority
) -> None:
    first, second, child = (open_agent(name) for name in ("first", "second", "child"))
    for agent in (first, second, child):
        agent.start(cargo, authority)
    first.begin_to_hold(cargo, 33)
    child.pull_from(first)
    child.until_held(33 * CHUNK_BYTES)
    second.pieces(cargo.stream(second.feed()))
    child.pull_from(second)
    child.until("whole")
    assert child.contents(cargo) == CONTENTS
    assert child.finish()["received_bytes"] == cargo.total_bytes
    assert first.finish()["served_bytes"] == 33 * CHUNK_BYTES
    assert second.finish()["served_bytes"] == cargo.total_bytes - 33 * CHUNK_BYTES


def test_the_next_run_is_sent_what_the_interrupted_one_lacked(
    open_agent: Open, cargo: Cargo, authority: RunAuthority
) -> None:
    interrupted = open_agent("home")
    interrupted.start(cargo, authority)
    interrupted.begin_to_hold(cargo, 2 * GROUP_CHUNKS + 1)
    interrupted.hang_up()
    assert [part.name for part in interrupted.parts()] == [".x-1-py3-none-any.whl.part", ".y-1-py3-none-any.whl.part"]
    agent = open_agent("home")
    assert agent.start(cargo, authority)["held_bytes"] == 2 * GROUP_BYTES
    lacking = agent.feed()
    assert lacking == [[2 * GROUP_CHUNKS, len(cargo.chunks)]]
    agent.pieces(cargo.stream(lacking))
    agent.until("whole")
    assert agent.contents(cargo) == CONTENTS
    assert agent.finish()["received_bytes"] == cargo.total_bytes - 2 * GROUP_BYTES


def test_what_was_changed_meanwhile_is_sent_anew(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    agent = open_agent("home")
    whole, changed, _empty = CONTENTS
    put_there(agent, {whole: CONTENTS[whole], changed: CONTENTS[changed][:-1] + b"?"})
    part = agent.path_of(changed).with_name(".y-1-py3-none-any.whl.part")
    part.write_bytes(CONTENTS[changed][:GROUP_BYTES] + b"?" * 3 * GROUP_BYTES)
    assert agent.start(cargo, authority)["held_bytes"] == len(CONTENTS[whole]) + GROUP_BYTES
    lacking = agent.feed()
    assert agent.path_of(changed).read_bytes() != CONTENTS[changed]
    agent.pieces(cargo.stream(lacking))
    agent.until("whole")
    assert agent.contents(cargo) == CONTENTS


def test_of_hosts_that_share_a_disk_one_is_sent_it_and_the_others_look(
    open_agent: Open, cargo: Cargo, authority: RunAuthority
) -> None:
    agent, neighbour = open_agent("shared"), open_agent("shared")
    ids = {host.start(cargo, authority)["filesystem_id"] for host in (agent, neighbour)}
    assert len(ids) == 1
    neighbour.begin_to_hold(cargo, 3)
    agent.pieces(cargo.stream(agent.feed()))
    agent.until("whole")
    neighbour.tell("look")
    assert neighbour.until("ready")["held_bytes"] == cargo.total_bytes
    neighbour.until("whole")
    assert neighbour.contents(cargo) == CONTENTS
    assert neighbour.parts() == []
    assert neighbour.finish()["received_bytes"] == 3 * CHUNK_BYTES


def test_a_part_file_that_somebody_writes_to_is_left_alone(
    open_agent: Open, cargo: Cargo, authority: RunAuthority
) -> None:
    agent, neighbour = open_agent("shared"), open_agent("shared")
    for host in (agent, neighbour):
        host.start(cargo, authority)
    assert len(agent.parts()) == 4
    neighbour.begin_to_hold(cargo, 3)
    neighbour.hang_up()
    assert len(agent.parts()) == 2
    agent.pieces(cargo.stream(agent.feed()))
    agent.until("whole")
    assert agent.contents(cargo) == CONTENTS


def test_pieces_of_an_older_attempt_are_dropped(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    agent = open_agent("home")
    agent.start(cargo, authority)
    agent.begin_to_hold(cargo, 5)
    lacking = agent.feed()
    assert lacking == [[5, len(cargo.chunks)]]
    agent.pieces(b"late", attempt=1)
    agent.pieces(cargo.stream(lacking))
    agent.until("whole")
    assert agent.contents(cargo) == CONTENTS


def test_an_idle_relay_gives_signs_of_life(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    agent = open_agent("home")
    agent.start(cargo, authority)
    assert [agent.until("at")["held_bytes"] for _ in range(2)] == [0, 0]


def test_it_listens_on_the_ports_that_it_may(open_agent: Open, cargo: Cargo, authority: RunAuthority) -> None:
    first, second, third = (open_agent(name) for name in ("first", "second", "third"))
    port = first.start(cargo, authority)["port"]
    assert second.start(cargo, authority, ports=[port, port + 50])["port"] in range(port + 1, port + 51)
    ready = third.start(cargo, authority, ports=[port, port])
    assert ready["port"] is None
    assert "in use" in ready["port_error"]
    third.pieces(cargo.stream(third.feed()))
    third.until("whole")


def test_an_absolute_path_will_do_too(open_agent: Open, authority: RunAuthority, tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "down" / "x.whl")
    cargo = Cargo({path: b"x" * 100_000})
    agent = open_agent("home")
    agent.start(cargo, authority)
    agent.pieces(cargo.stream(agent.feed()))
    agent.until("whole")
    assert Path(path).read_bytes() == cargo.contents[path]


@pytest.mark.parametrize(("address", "other"), [("127.0.0.2", "127.0.0.1"), ("::1", "127.0.0.1")])
def test_it_listens_where_the_controller_reached_it_and_nowhere_else(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, address: str, other: str
) -> None:
    if ":" in address and not has_address(address):
        pytest.skip("there is no IPv6 here")
    parent, child = open_agent("parent", environment={"SSH_CONNECTION": f"{other} 50000 {address} 22"}), open_agent("c")
    assert parent.start(cargo, authority)["address"] == address
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((other, parent.ready["port"]))
    child.start(cargo, authority)
    child.pull_from(parent)
    parent.pieces(cargo.stream(parent.feed()))
    child.until("whole")


def test_a_python_without_tls_takes_from_the_controller(
    open_agent: Open, cargo: Cargo, authority: RunAuthority, tmp_path: Path
) -> None:
    python = tmp_path / "python-without-tls"
    code = "import sys; sys.modules['_ssl'] = None; exec(sys.argv[-1])"
    python.write_text(f"#!{sys.executable}\n{code}\n")
    python.chmod(0o755)
    agent = open_agent("home", python=str(python))
    ready = agent.start(cargo, authority)
    assert ready["port"] is None
    assert "no TLS 1.3" in ready["port_error"]
    agent.pull("127.0.0.1", 9, "0" * 64)
    assert agent.until("lost")["reason"] == "stranger"
    agent.pieces(cargo.stream(agent.feed()))
    agent.until("whole")
    assert agent.contents(cargo) == CONTENTS


def has_address(address: str) -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
