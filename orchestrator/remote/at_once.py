"""Runs one piece of work on many items at the same time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 512


def at_once(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
    """Yield the index and the result of each item's work as it ends.

    When some of the work raised, the first such exception is raised after everything has ended.
    The threads are daemons: an interrupted caller does not wait for them.
    """
    waiting: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[int, Result] | BaseException] = queue.SimpleQueue()

    def take_turns() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                index, item = waiting.get_nowait()
                try:
                    ended.put((index, work(item)))
                except BaseException as error:  # noqa: BLE001 - raised again where it can be seen
                    ended.put(error)

    for entry in enumerate(items):
        waiting.put(entry)
    for _ in range(min(len(items), _MOST_THREADS)):
        threading.Thread(target=take_turns, daemon=True).start()
    errors = []
    for _ in items:
        end = ended.get()
        if isinstance(end, BaseException):
            errors.append(end)
        else:
            yield end
    if errors:
        raise errors[0]
