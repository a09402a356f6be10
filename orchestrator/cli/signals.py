"""What asks a run to stop: Ctrl-C, and whatever else ends programs and leaves them time to clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread, which this is, for SIGTERM and SIGHUP as for Ctrl-C.

    Ctrl-C counts each time. The others count only as the first of all signals: a shell passes on the SIGHUP of a
    terminal that died, timeout(1) sends SIGTERM twice, and nobody wants to interrupt the cleaning up by that.
    What was ignored at the start (by nohup, or for a job in the background) stays ignored.
    """
    is_stopping = False

    def stop(number: int, _frame: object) -> None:
        nonlocal is_stopping
        if number == signal.SIGINT or not is_stopping:
            is_stopping = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _STOPPING}
    heard = {number: action for number, action in before.items() if action not in (signal.SIG_IGN, None)}
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, action in heard.items():
            signal.signal(number, action)
