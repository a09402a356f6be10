"""Carries connections from loopback addresses of this machine into the cluster's own network."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from testcluster import kernel

_BUFFER_BYTES = 256 * 1024
_BACKLOG = 512
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Connects to an address and port inside the network."""


class Door:
    """One loopback address that leads to one host: open, closed (it refuses) or a black hole."""

    def __init__(self, address: tuple[str, int], target: tuple[str, int], dial: Dial) -> None:
        self._address = address
        self._target = target
        self._dial = dial
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._clients: set[socket.socket] = set()
        self._carriers: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Take connections, and hear those again that a black hole swallowed."""
        if self._listener is None:
            listener = socket.socket()
            listener.settimeout(0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._address)
            listener.listen(_BACKLOG)
            self._listener = listener
            self._accepting = asyncio.ensure_future(self._accept(listener))
        for endpoint in (self._listener, *self._clients):
            kernel.make_hearing(endpoint)

    def close(self) -> None:
        """Refuse new connections; those that are open go on."""
        if self._listener is not None and self._accepting is not None:
            self._accepting.cancel()
            self._listener.close()
            self._listener = None

    def silence(self) -> None:
        """Swallow everything: new connections are not answered, open ones hear nothing."""
        self.open()
        for endpoint in (self._listener, *self._clients):
            if endpoint is not None:
                kernel.make_deaf(endpoint)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            carrier = asyncio.ensure_future(self._carry(client))
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carriers.discard)

    async def _carry(self, client: socket.socket) -> None:
        client.settimeout(0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients.add(client)
        try:
            host = await self._dial(*self._target)
        except OSError:
            reset(client)
        else:
            await _join(client, host)
        finally:
            self._clients.discard(client)


async def _join(client: socket.socket, host: socket.socket) -> None:
    """Copy in both directions until both ended, or until one broke: then both are reset."""
    ways = (asyncio.ensure_future(_copy(client, host)), asyncio.ensure_future(_copy(host, client)))
    try:
        await asyncio.gather(*ways)
    except OSError:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        reset(client)
        reset(host)
    finally:
        client.close()
        host.close()


async def _copy(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while size := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(target, buffer[:size])
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def reset(endpoint: socket.socket) -> None:
    """Close a connection so that the other side learns at once that it broke."""
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    endpoint.close()


class InsideDialer:
    """Connects from within a network namespace while the rest of the process stays where it is.

    A socket belongs to the namespace of the thread that made it; one thread lives inside for that.
    """

    def __init__(self, namespace: int) -> None:
        self._inside = ThreadPoolExecutor(1, initializer=kernel.enter_network_namespace, initargs=(namespace,))

    async def dial(self, address: str, port: int) -> socket.socket:
        """Return a connection. Raises OSError."""
        loop = asyncio.get_running_loop()
        endpoint = await loop.run_in_executor(self._inside, socket.socket)
        endpoint.settimeout(0)
        endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.sock_connect(endpoint, (address, port))
        except BaseException:
            endpoint.close()
            raise
        return endpoint

    def end(self) -> None:
        """Let the thread go."""
        self._inside.shutdown(wait=False)
