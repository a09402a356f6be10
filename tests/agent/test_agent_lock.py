"""The host's lock between real agents that share a cache: who gets it, who waits, and what the dead leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_client import AgentProcess, Refused

from orchestrator.agent.cache import Cache
from orchestrator.agent.lock import Limits
from orchestrator.agent.lock_file import LockFile, Owner, lock_path
from orchestrator.agent.protocol import FrameWriter
from orchestrator.agent.request import Request
from orchestrator.agent.server import Server

pytestmark = pytest.mark.process

OLDER, YOUNGER = "20260101-aaaa", "20260202-bbbb"
NOBODY = 1 << 22
"""No process has this id: Linux gives smaller ones only."""
LONG_AGO = 1.0
ORPHAN = """
import json, os, sys
from orchestrator.agent.lock_file import LockFile
from orchestrator.agent.processes import Children
lock = LockFile(sys.argv[1], json.loads(sys.argv[2]) | {"agent_pid": os.getpid()})
assert lock.take()
Children().run(["sh", "-c", "echo $$; exec sleep 600"], on_line=lambda line: print(line, flush=True),
               keep_open=[lock.descriptor])
"""
"""An agent as far as the lock goes: it runs a program that inherits it, as pip does."""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    with AgentProcess(tmp_path) as one:
        yield one


@pytest.fixture
def other(tmp_path: Path, agent: AgentProcess) -> Iterator[AgentProcess]:
    """Another agent on the same host, with the same cache."""
    with AgentProcess(tmp_path) as one:
        yield one


def begin(agent: AgentProcess, deployment: str, **limits: float) -> int:
    return agent.begin("hold", deployment=deployment, author="ml@ctl", pid=42, limits=limits)


def hear(agent: AgentProcess, event: str) -> dict[str, Any]:
    """Return the next frame, which must be this event."""
    frame = agent.read()
    assert frame.get("event") == event, frame
    return frame


def take(agent: AgentProcess, deployment: str = OLDER, **limits: float) -> int:
    number = begin(agent, deployment, **limits)
    assert hear(agent, "held")["note"] is None
    return number


def wait(agent: AgentProcess, deployment: str = OLDER, **limits: float) -> int:
    """Begin to wait for the lock that somebody else has."""
    number = begin(agent, deployment, **limits)
    assert "deployment" in hear(agent, "waiting")["text"]
    return number


def tell(agent: AgentProcess, number: int, word: str) -> None:
    agent.send({"id": number, "tell": {"do": word}})


def await_end(agent: AgentProcess) -> None:
    """Read until the agent ends by itself."""
    while agent.read():
        pass


def signature(*, deployment: str = OLDER, agent_pid: int = NOBODY, is_ending: bool = False) -> dict[str, Any]:
    names = {"deployment": deployment, "author": "ml@ctl", "pid": 42, "agent_pid": agent_pid}
    return {**names, "since": int(time.time()), "is_ending": is_ending}


def file_of(agent: AgentProcess) -> Path:
    return Path(lock_path(str(agent.cache)))


def test_the_lock_names_its_owner_until_it_is_released(agent: AgentProcess, other: AgentProcess) -> None:
    number = take(agent)
    written = json.loads(file_of(agent).read_text(encoding="ascii"))
    assert (written["deployment"], written["agent_pid"]) == (OLDER, agent.process.pid)
    with pytest.raises(Refused) as refused:
        other.end(wait(other, YOUNGER, younger_s=0.0))
    assert refused.value.kind == "locked"
    assert refused.value.message == f"deployment {OLDER} by ml@ctl (process 42 there) has the lock"
    assert " s ago" in (refused.value.hint or "")
    tell(agent, number, "release")
    assert agent.end(number) == {}
    assert file_of(agent).read_bytes() == b""
    take(other, YOUNGER)


def test_of_two_that_race_the_older_one_waits_and_gets_it(agent: AgentProcess, other: AgentProcess) -> None:
    number = take(agent, YOUNGER)
    wait(other, OLDER, older_s=60.0, younger_s=0.0)
    tell(agent, number, "release")
    assert hear(other, "held")["note"] is None


def test_the_older_one_does_not_wait_for_ever(agent: AgentProcess, other: AgentProcess) -> None:
    take(agent, YOUNGER)
    with pytest.raises(Refused, match=YOUNGER):
        other.end(wait(other, OLDER, older_s=0.0))


@pytest.mark.parametrize("deployment", [OLDER, YOUNGER])
def test_an_agent_that_is_killed_leaves_its_lock_to_the_next_one(
    agent: AgentProcess, other: AgentProcess, deployment: str
) -> None:
    take(agent, OLDER)
    agent.process.kill()
    agent.process.wait()
    begin(other, deployment)
    note = hear(other, "held")["note"]
    assert (note is None) == (deployment == OLDER)
    assert note is None or OLDER in note


def test_a_program_that_outlives_its_agent_keeps_the_lock(agent: AgentProcess) -> None:
    argv = [sys.executable, "-c", ORPHAN, str(file_of(agent)), json.dumps(signature())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        program = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        wait(agent, YOUNGER, younger_s=0.0)
        os.kill(program, signal.SIGKILL)
    assert OLDER in hear(agent, "held")["note"]


def test_cancelling_gives_it_back(agent: AgentProcess, other: AgentProcess) -> None:
    number = take(agent)
    agent.begin("cancel", target=number)
    with pytest.raises(Refused, match="cancelled"):
        agent.end(number)
    take(other, YOUNGER)


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGTERM, None])
def test_hanging_up_gives_it_back(agent: AgentProcess, other: AgentProcess, how: int | None) -> None:
    take(agent, YOUNGER)
    wait(other, OLDER, older_s=60.0)
    if how is not None:
        agent.process.send_signal(how)
    agent.hang_up()
    assert hear(other, "held")["note"] is None


def test_a_silent_controller_loses_it_and_its_whole_agent(agent: AgentProcess, other: AgentProcess) -> None:
    workspace = Path(agent.ask("workspace")["path"])
    take(agent, OLDER, lease_s=0.2)
    await_end(agent)
    assert not workspace.exists()
    take(other, YOUNGER)


def test_a_silent_controller_does_not_wait_for_it_either(agent: AgentProcess, other: AgentProcess) -> None:
    take(agent, YOUNGER)
    wait(other, OLDER, older_s=60.0, lease_s=0.2)
    await_end(other)


def test_each_word_of_the_controller_is_noted(agent: AgentProcess) -> None:
    number = take(agent)
    os.utime(file_of(agent), (LONG_AGO, LONG_AGO))
    tell(agent, number, "alive")
    while file_of(agent).stat().st_mtime == LONG_AGO:
        assert agent.ask("ping") == {}


def test_an_owner_whose_controller_is_silent_is_waited_for(agent: AgentProcess, other: AgentProcess) -> None:
    take(agent, OLDER)
    os.utime(file_of(agent), (LONG_AGO, LONG_AGO))
    wait(other, YOUNGER, younger_s=0.0)
    agent.hang_up()
    assert hear(other, "held")["note"] is None


def test_an_owner_that_is_ending_is_waited_for(agent: AgentProcess) -> None:
    ending = LockFile(lock_path(str(agent.cache)), signature(agent_pid=os.getpid()))
    assert ending.take()
    ending.mark_ending()
    wait(agent, YOUNGER, younger_s=0.0)
    ending.release()
    assert hear(agent, "held")["note"] is None


def test_whoever_waits_can_be_told_to_stop(agent: AgentProcess, other: AgentProcess) -> None:
    take(agent, YOUNGER)
    number = wait(other, OLDER, older_s=60.0)
    tell(other, number, "release")
    assert other.end(number) == {}


def test_a_file_that_says_nothing_readable_is_taken_without_a_note(agent: AgentProcess) -> None:
    file_of(agent).parent.mkdir()
    file_of(agent).write_text('{"deployment": "2026')
    take(agent)


def test_a_cache_that_takes_no_lock_is_a_failure_of_the_host(agent: AgentProcess) -> None:
    file_of(agent).parent.write_text("in the way")
    with pytest.raises(Refused, match="cannot be locked") as refused:
        agent.end(begin(agent, OLDER))
    assert refused.value.kind == "host"


def test_what_an_ending_agent_lets_finish_is_told_to_those_who_wait(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cache = Cache(str(tmp_path))
    reader, writer = os.pipe()
    cache.lock = LockFile(lock_path(str(tmp_path)), signature(agent_pid=os.getpid()))
    assert cache.lock.take()
    server, is_up = Server(cache, FrameWriter(writer)), threading.Event()
    request = Request({"id": 1, "op": "activate"}, cache, FrameWriter(writer))
    argv = ["sh", "-c", f"echo up; read line < {fifo}"]
    running = threading.Thread(
        target=lambda: request.children.run(argv, on_line=lambda _: is_up.set(), grace_s=60.0), daemon=True
    )
    running.start()
    assert is_up.wait(60)
    server._requests[1] = request, running
    closing = threading.Thread(target=server.close, daemon=True)
    closing.start()
    waiting = LockFile(lock_path(str(tmp_path)), signature(deployment=YOUNGER))
    while (owner := waiting.read_owner()) is None or not owner.is_ending:
        assert closing.is_alive()
    assert not waiting.take()
    fifo.write_text("go on\n")
    closing.join(60)
    assert waiting.take()
    waiting.release()
    os.close(reader)
    os.close(writer)


LIMITS = Limits(lease_s=60.0, silent_after_s=25.0, ending_s=150.0, older_s=5.0, younger_s=1.0)


@pytest.mark.parametrize(
    ("owner", "expected_s"),
    [
        (None, 5.0),
        (Owner(signature(deployment="1", agent_pid=1), 0.0), 1.0),
        (Owner(signature(deployment="3", agent_pid=1), 0.0), 5.0),
        (Owner(signature(deployment="2", agent_pid=1), 0.0), 70.0),
        (Owner(signature(deployment="1", agent_pid=1), 26.0), 70.0),
        (Owner(signature(deployment="1", agent_pid=1, is_ending=True), 0.0), 150.0),
        (Owner(signature(deployment="1", agent_pid=NOBODY), 0.0), 150.0),
    ],
    ids=["unsigned", "older", "younger", "own", "silent", "ending", "dead"],
)
def test_patience_follows_from_who_has_it(owner: Owner | None, expected_s: float) -> None:
    assert LIMITS.patience_with(owner, "2") == expected_s


@pytest.mark.parametrize(("age_s", "words"), [(130, "2 min"), (3700, "61 min"), (7300, "2 h"), (-900, "0 s")])
def test_an_age_has_words(age_s: int, words: str) -> None:
    assert Owner({**signature(), "since": int(time.time()) - age_s}, 0.0).age == words
