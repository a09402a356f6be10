from __future__ import annotations

import queue
import threading

from orchestrator.errors import HostError
from orchestrator.fanout.feeding import Feed
from orchestrator.fanout.messengers import Messengers


def test_words_to_one_host_arrive_in_order_however_many_there_are() -> None:
    messengers, arrived = Messengers(), queue.SimpleQueue[int]()
    for number in range(500):
        messengers.send("a", lambda number=number: arrived.put(number))  # type: ignore[misc]
    assert [arrived.get(timeout=30) for _ in range(500)] == list(range(500))


def test_a_host_that_is_stuck_holds_up_nobody_else() -> None:
    messengers, arrived, stuck = Messengers(), queue.SimpleQueue[str](), threading.Event()
    for host in range(64):
        messengers.send(f"stuck-{host}", stuck.wait)
    messengers.send("well", lambda: arrived.put("well"))
    assert arrived.get(timeout=30) == "well"
    stuck.set()


def test_a_lost_connection_does_not_stop_the_words_after_it() -> None:
    messengers, arrived = Messengers(), queue.SimpleQueue[str]()

    def lose() -> None:
        raise HostError("the connection was lost")

    messengers.send("a", lose)
    messengers.send("a", lambda: arrived.put("after"))
    assert arrived.get(timeout=30) == "after"


class Ear:
    """A conversation that keeps what it is told."""

    def __init__(self) -> None:
        self.pieces: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()

    def tell(self, message: object, payload: bytes = b"") -> None:
        assert isinstance(message, dict)
        self.pieces.put((message["attempt"], payload))

    def cancel(self) -> None:
        raise AssertionError("a feed cancels nothing")


def test_a_feed_sends_its_units_in_pieces_and_counts_files_bytes_alone() -> None:
    ear = Ear()
    units = [b"L" + b"d" * 32, b"C" + b"a" * 70_000, b"C" + b"b" * 10]
    feed = Feed(ear, 7, units, on_fault=lambda error: ear.pieces.put((0, str(error).encode())))
    pieces = [ear.pieces.get(timeout=30) for _ in range(2)]
    assert [attempt for attempt, _ in pieces] == [7, 7]
    assert b"".join(payload for _, payload in pieces) == b"".join(units)
    while feed.sent_bytes < 70_010:
        pass
    assert feed.sent_bytes == 70_010


def test_a_feed_whose_file_cannot_be_read_says_so() -> None:
    faults: queue.SimpleQueue[OSError] = queue.SimpleQueue()

    def units() -> object:
        yield b"C1"
        raise FileNotFoundError("gone")

    Feed(Ear(), 1, units(), on_fault=faults.put)  # type: ignore[arg-type]
    assert "gone" in str(faults.get(timeout=30))
