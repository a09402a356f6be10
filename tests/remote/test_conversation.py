"""A conversation, seen from the other end of its channel."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.errors import HostError
from orchestrator.remote.session import AgentSession
from orchestrator.remote.wire import Wire


class Script:
    """A channel whose other end is the test."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_broken = False
        self.last_words = ""
        self._coming: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def say(self, **frame: object) -> None:
        """Let a frame come from the agent."""
        self._coming.put(json.dumps(frame).encode() + b"\n")

    def send(self, content: bytes) -> None:
        if self.is_broken:
            raise BrokenPipeError
        self.sent.append(content)

    def receive(self, limit: int) -> bytes:  # noqa: ARG002 - frames are short
        return self._coming.get()

    def end_input(self) -> None:
        self._coming.put(b"")

    def close(self) -> None:
        self.is_broken = True
        self._coming.put(b"")


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def session(script: Script) -> Iterator[AgentSession]:
    wire = Wire("scripted", script)
    wire.start()
    opened = AgentSession(wire)
    yield opened
    opened.close()


def ignore(_: object) -> None:
    pass


def test_a_message_goes_out_as_one_frame_with_its_bytes(script: Script, session: AgentSession) -> None:
    conversation = session.converse("relay", {"files": []}, on_event=ignore, on_end=ignore)
    conversation.tell({"do": "finish"})
    conversation.tell({"do": "piece"}, b"\n\x00")
    headers, payloads = zip(*(frame.split(b"\n", 1) for frame in script.sent), strict=True)
    asked, finish, piece = map(json.loads, headers)
    assert asked == {"id": asked["id"], "op": "relay", "files": []}
    assert finish == {"id": asked["id"], "tell": {"do": "finish"}}
    assert piece == {"id": asked["id"], "tell": {"do": "piece"}, "bytes": 2}
    assert payloads == (b"", b"", b"\n\x00")


def test_answers_come_in_order_in_one_thread_and_then_no_more(script: Script, session: AgentSession) -> None:
    heard: queue.SimpleQueue[tuple[Any, str]] = queue.SimpleQueue()

    def hear(said: Any) -> None:
        heard.put((said, threading.current_thread().name))

    session.converse("relay", {}, on_event=hear, on_end=hear)
    number = json.loads(script.sent[0])["id"]
    other = session.converse("relay", {}, on_event=ignore, on_end=lambda _: heard.put(("other", "")))
    script.say(id=number, event="at", held_bytes=1)
    script.say(id=number, event="whole")
    script.say(id=number, result={"held_bytes": 1})
    script.say(id=number, event="late")
    script.say(id=number, result={})
    script.say(id=json.loads(script.sent[1])["id"], result={})
    said, threads = zip(*(heard.get(timeout=60) for _ in range(4)), strict=True)
    assert [answer.get("event") for answer in said[:2]] == ["at", "whole"]
    assert said[2:] == ({"held_bytes": 1}, "other")
    assert set(threads[:3]) == {"agent of scripted"}
    assert heard.empty()
    other.tell({"do": "late"})
    other.cancel()
    assert len(script.sent) == 2


def test_a_connection_that_breaks_at_the_first_word_ends_it_like_any_other(
    script: Script, session: AgentSession
) -> None:
    ends: queue.SimpleQueue[Any] = queue.SimpleQueue()
    script.is_broken = True
    script.last_words = "no space left"
    session.converse("relay", {}, on_event=ignore, on_end=ends.put)
    error = ends.get(timeout=60)
    assert isinstance(error, HostError)
    assert "no space left" in error.message


def test_a_connection_that_breaks_while_it_is_told_more_ends_it_once(script: Script, session: AgentSession) -> None:
    ends: queue.SimpleQueue[Any] = queue.SimpleQueue()
    conversation = session.converse("relay", {}, on_event=ignore, on_end=ends.put)
    script.is_broken = True
    for _ in range(2):
        with pytest.raises(HostError, match="scripted"):
            conversation.tell({"do": "finish"})
    assert isinstance(ends.get(timeout=60), HostError)
    session.close()
    assert ends.empty()
