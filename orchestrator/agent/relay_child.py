"""One child of this host: a stranger until it has proved itself and asked for chunks, then served as they come."""

from __future__ import annotations

import selectors
import time

from .relay_stream import ALIVE, LIST, decode_wish
from .relay_tls import StrangerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .relay_holding import Holding
    from .relay_tls import Link

_HANDSHAKE_S = 3.0
_ALIVE_S = 0.5
_AHEAD_BYTES = 1 << 18
_RECEIVE_BYTES = 1 << 16


class Child:
    """One connection that was accepted; `on_end` is called once, when it is closed, by whomever."""

    def __init__(
        self, link: Link, holding: Holding, selector: selectors.BaseSelector, on_end: Callable[[Child], None]
    ) -> None:
        self.came_at = time.monotonic()
        self.served_bytes = 0
        self._link = link
        self._holding = holding
        self._selector = selector
        self._on_end = on_end
        self._is_trusted = False
        self._asked = b""
        self._wanted: list[int] | None = None
        self._next = 0
        self._listed: int | None = None
        self._sent_at = self.came_at
        self._events = selectors.EVENT_READ
        selector.register(link.connection, self._events, self._on_ready)

    @property
    def is_known(self) -> bool:
        """Whether it has proved itself and asked for chunks."""
        return self._wanted is not None

    def pump(self) -> None:
        """Send what it wants and is here, as far as the network takes it."""
        if self._wanted is not None:
            self._try(self._send)

    def tick(self, now: float) -> None:
        """Give a sign of life when nothing else was sent for long."""
        if self._wanted is None:
            if now - self.came_at > _HANDSHAKE_S:
                self.close()
        elif now - self._sent_at >= _ALIVE_S and not self._link.unsent_bytes:
            self._sent_at = now
            self._try(self._say_alive)

    def close(self) -> None:
        """Hang up."""
        if self._link.connection.fileno() >= 0:
            self._selector.unregister(self._link.connection)
            self._link.close()
            self._on_end(self)

    def _on_ready(self, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            self._try(self._listen)
        elif self._wanted is not None:
            self._try(self._send)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, StrangerError, ValueError):  # it hung up, is a stranger, or asks nonsense
            self.close()

    def _listen(self) -> None:
        self._link.receive(memoryview(bytearray(_RECEIVE_BYTES)))
        if not self._is_trusted:
            self._is_trusted = self._link.shake()
        if self._is_trusted:
            self._hear()

    def _hear(self) -> None:
        buffer = memoryview(bytearray(_RECEIVE_BYTES))
        while count := self._link.read(buffer):
            self._asked += buffer[:count]
            if self._wanted is not None:
                raise ValueError("it asks twice")
            self._wanted = decode_wish(self._asked, len(self._holding.layout.chunks))
        if self._wanted is not None:
            self._send()

    def _say_alive(self) -> None:
        self._link.write(ALIVE)
        self._send()

    def _send(self) -> None:
        while True:
            while self._link.unsent_bytes < _AHEAD_BYTES and self._write_next():
                pass
            if not self._link.unsent_bytes:
                self._await(selectors.EVENT_READ)
                return
            if not self._link.flush():
                self._await(selectors.EVENT_READ | selectors.EVENT_WRITE)
                return

    def _write_next(self) -> bool:
        """Have the next unit sent; return whether there was one."""
        assert self._wanted is not None
        if self._next == len(self._wanted) or not self._holding.holds(self._wanted[self._next]):
            return False
        number = self._wanted[self._next]
        chunk = self._holding.layout.chunks[number]
        if chunk.group != self._listed:
            self._link.write(LIST + self._holding.list_of(chunk.group))
            self._listed = chunk.group
        self._link.write(self._holding.unit(number))
        self.served_bytes += chunk.size
        self._next += 1
        self._sent_at = time.monotonic()
        return True

    def _await(self, events: int) -> None:
        if events != self._events:
            self._selector.modify(self._link.connection, events, self._on_ready)
            self._events = events
