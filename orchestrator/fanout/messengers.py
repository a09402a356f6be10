"""Delivers words to hosts without waiting for them: one that is stuck must not hold up the others."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable

from orchestrator.errors import HostError

Errand = Callable[[], object]


class Messengers:
    """One thread for each host that has words waiting, while it has; daemons, for nobody waits for a stuck one."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Errand]] = {}
        self._lock = threading.Lock()

    def send(self, host: str, errand: Errand) -> None:
        """Run an errand soon, after those for the same host that came before.

        A connection that is lost meanwhile tells so itself, elsewhere.
        """
        with self._lock:
            if host in self._waiting:
                self._waiting[host].append(errand)
                return
            self._waiting[host] = deque([errand])
        threading.Thread(target=self._run, args=(host,), name=f"words to {host}", daemon=True).start()

    def _run(self, host: str) -> None:
        while (errand := self._next(host)) is not None:
            with contextlib.suppress(HostError):
                errand()

    def _next(self, host: str) -> Errand | None:
        with self._lock:
            if self._waiting[host]:
                return self._waiting[host].popleft()
            del self._waiting[host]
            return None
