from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def stoppable_programs() -> Iterator[None]:
    """Programs that tests start can be stopped, also where `nohup` or a shell's `&` lets the tests ignore signals."""
    ignored = [each for each in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(each) is signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, lambda *_: None)  # a handler does not outlive exec, what is ignored does
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)
