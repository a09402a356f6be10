"""Listens for this host's children, and keeps them served."""

from __future__ import annotations

import contextlib
import selectors
import socket

from .relay_child import Child
from .relay_tls import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .relay_holding import Holding
    from .relay_tls import Identity

_MOST_CHILDREN = 64


class Serving:
    """Listens for children, once told to, and serves all of them."""

    def __init__(self, holding: Holding, selector: selectors.BaseSelector) -> None:
        self._holding = holding
        self._selector = selector
        self._listener: socket.socket | None = None
        self._children: list[Child] = []
        self._served_bytes = 0

    @property
    def served_bytes(self) -> int:
        """What all children were sent of files."""
        return self._served_bytes + sum(child.served_bytes for child in self._children)

    def listen(self, identity: Identity, address: str, ports: range) -> int:
        """Begin to listen on one of `ports`, 0 is any; return which. Raises OSError when none can be had."""
        if self._listener is None:
            self._listener = _bind(address, ports)
            self._selector.register(self._listener, selectors.EVENT_READ, lambda _mask: self._accept(identity))
        port: int = self._listener.getsockname()[1]
        return port

    def pump(self) -> None:
        """Send children what has become theirs to have."""
        for child in list(self._children):
            child.pump()

    def tick(self, now: float) -> None:
        """Give idle children a sign of life, and hang up on those that ask for nothing."""
        for child in list(self._children):
            child.tick(now)

    def close(self) -> None:
        """Hang up on everybody."""
        for child in list(self._children):
            child.close()
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()

    def _accept(self, identity: Identity) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):  # none is left, or it has hung up already
            while True:
                connection, _ = self._listener.accept()
                if self._has_room():
                    watch(connection)
                    link = identity.as_parent(connection)
                    self._children.append(Child(link, self._holding, self._selector, self._forget))
                else:
                    connection.close()

    def _has_room(self) -> bool:
        """Return whether one more may come; no number of strangers keeps a child out."""
        if len(self._children) < _MOST_CHILDREN:
            return True
        oldest_stranger = next((child for child in self._children if not child.is_known), None)
        if oldest_stranger is not None:
            oldest_stranger.close()
        return oldest_stranger is not None

    def _forget(self, child: Child) -> None:
        self._children.remove(child)
        self._served_bytes += child.served_bytes


def _bind(address: str, ports: range) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    failure = OSError(f"no port of {ports} can be had")
    for port in ports:
        # Bytes, because text would import IDNA.
        target = socket.getaddrinfo(address.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.settimeout(0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(target)
            listener.listen(_MOST_CHILDREN)
        except OSError as error:
            listener.close()
            failure = error
        else:
            return listener
    raise failure
