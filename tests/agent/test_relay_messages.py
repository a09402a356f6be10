"""What a running request is told: in order, never too much at once, and nobody hangs."""

from __future__ import annotations

import threading

from orchestrator.agent.request import Messages


def tell(messages: Messages, count: int) -> None:
    for number in range(count):
        messages.put({"do": number}, b"")


def test_messages_are_taken_in_order() -> None:
    messages = Messages()
    calls: list[int] = []
    messages.on_change = lambda: calls.append(1)
    assert messages.take() is None
    messages.put({"do": "a"}, b"1")
    messages.put({"do": "b"}, b"")
    assert [messages.take(), messages.take(), messages.take()] == [({"do": "a"}, b"1"), ({"do": "b"}, b""), None]
    assert len(calls) == 2


def test_who_tells_too_much_waits_until_some_is_taken() -> None:
    messages = Messages()
    teller = threading.Thread(target=tell, args=(messages, 17))
    has_more = threading.Semaphore(0)
    messages.on_change = has_more.release
    teller.start()
    for _ in range(16):
        has_more.acquire()
    assert not has_more.acquire(timeout=0.05)
    assert messages.take() == ({"do": 0}, b"")
    teller.join()
    assert [messages.take() for _ in range(17)] == [*(({"do": number}, b"") for number in range(1, 17)), None]


def test_who_waits_to_tell_is_let_go_when_nobody_takes_any_more() -> None:
    messages = Messages()
    teller = threading.Thread(target=tell, args=(messages, 100))
    teller.start()
    messages.close()
    teller.join()
    assert messages.is_closed
