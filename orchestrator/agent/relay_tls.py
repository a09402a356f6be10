"""TLS 1.3 between the hosts of one run: both sides prove themselves by certificates that were made for it alone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import struct
import sys

try:
    import ssl
except ImportError:  # a Python built without it; then this host takes from the controller alone
    ssl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_FLUSH_BYTES = 1 << 18
_HEADER = struct.Struct("!3sH")
_RECORD_OVERHEAD_BYTES = _HEADER.size + 17
"""The header, the tag of an AES-GCM or ChaCha20-Poly1305 record, and its type (RFC 8446, 5.2)."""
_MOST_AWAITED_BYTES = 1 << 18


class StrangerError(Exception):
    """The other side is not who it should be, or takes us for a stranger."""


class Identity:
    """Who this host is in this run. Raises OSError when the host's Python has no TLS 1.3, or the key does not fit."""

    def __init__(self, authority: str, certificate: str, key: str, folder: str) -> None:
        if not getattr(ssl, "HAS_TLSv1_3", False):
            raise OSError(f"the agent's Python, {sys.executable}, has no TLS 1.3")
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._server.num_tickets = 0
        self._client.check_hostname = False  # the whole certificate is compared instead
        with _as_file(certificate + key, folder) as path:
            for context in (self._server, self._client):
                context.minimum_version = ssl.TLSVersion.TLSv1_3
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=authority)
                context.load_cert_chain(path)

    def as_parent(self, connection: socket.socket) -> Link:
        """Return the serving end of a connection."""
        return Link(connection, self._server, is_server=True)

    def as_child(self, connection: socket.socket) -> Link:
        """Return the pulling end of a connection."""
        return Link(connection, self._client, is_server=False)


class Link:
    """One connection that never blocks; TLS runs in memory, so that a system call moves many records.

    Every method raises StrangerError when TLS fails, OSError when the connection is lost.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, *, is_server: bool) -> None:
        self.connection = connection
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=is_server)
        self._unsent = memoryview(b"")
        self._record_bytes = 0  # of the record that has begun to arrive, its header included; 0 between records
        self._record_left = 0
        self._header = b""  # as much as there is of one that is not whole

    @property
    def unsent_bytes(self) -> int:
        """How much waits until the network takes it."""
        return len(self._unsent) + self._leaving.pending

    def receive(self, buffer: memoryview) -> bool:
        """Take what has arrived, by way of `buffer`; return whether anything has.

        Raises ConnectionError at the end of the stream.
        """
        try:
            count = self.connection.recv_into(buffer)
        except BlockingIOError:
            return False
        if not count:
            raise ConnectionResetError("it hung up")
        self._follow(buffer[:count])
        self._arrived.write(buffer[:count])
        return True

    def await_readable(self, count: int) -> None:
        """Let the selector wake nobody before so many bytes may be there to `read`: on a slow link each packet would.

        What hung up, or failed, wakes all the same (socket(7), SO_RCVLOWAT).
        """
        begun = max(self._record_bytes - _RECORD_OVERHEAD_BYTES, 0)
        lacking = self._record_left + max(count - begun, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(max(lacking, 1), _MOST_AWAITED_BYTES))

    def _follow(self, piece: bytes | memoryview) -> None:
        """Follow the records through what arrived: each header ends with its record's length (RFC 8446, 5.1)."""
        if self._header:
            piece = self._header + bytes(piece)
        place = self._record_left
        while place + _HEADER.size <= len(piece):
            self._record_bytes = _HEADER.size + _HEADER.unpack_from(piece, place)[1]
            place += self._record_bytes
        self._record_left = max(place - len(piece), 0)
        self._header = bytes(piece[place:])
        if not self._record_left:
            self._record_bytes = 0

    def shake(self) -> bool:
        """Go on with the handshake; return whether it is over."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            with contextlib.suppress(OSError):
                self.flush()  # tells the other side why
            raise StrangerError(_reason(error)) from error
        finally:
            if self._leaving.pending:
                self.flush()
        return True

    def peer_sha256(self) -> str:
        """Return the digest (hex) of the other side's certificate, once the handshake is over."""
        return hashlib.sha256(self._tls.getpeercert(binary_form=True) or b"").hexdigest()

    def read(self, view: memoryview) -> int:
        """Put what was received into `view`; return how much that is, 0 when more must be received first."""
        try:
            return self._tls.read(len(view), view)  # type: ignore[return-value]  # typeshed: bytes, even into a buffer
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLZeroReturnError as error:
            raise ConnectionResetError("it hung up") from error
        except ssl.SSLError as error:
            raise StrangerError(_reason(error)) from error

    def write(self, content: bytes | bytearray) -> None:
        """Have bytes sent by the next `flush`."""
        self._tls.write(content)

    def flush(self) -> bool:
        """Send what the network takes; return whether nothing is left."""
        with contextlib.suppress(BlockingIOError):
            while self.unsent_bytes:
                if not self._unsent:
                    self._unsent = memoryview(self._leaving.read())
                self._unsent = self._unsent[self.connection.send(self._unsent[:_FLUSH_BYTES]) :]
        return not self.unsent_bytes

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def watch(connection: socket.socket) -> None:
    """Make a connection send at once, never block, and notice within seconds that the other host is gone."""
    connection.settimeout(0)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 6000)


def _reason(error: ssl.SSLError) -> str:
    return str(getattr(error, "verify_message", "") or error.reason or error)


@contextlib.contextmanager
def _as_file(content: str, folder: str) -> Iterator[str]:
    """Lend the path of a file with this content: in memory, or where that cannot be had, private and for a moment."""
    try:
        descriptor = os.memfd_create("identity")
        path = f"/proc/self/fd/{descriptor}"
        os.stat(path)
    except (AttributeError, OSError):
        path = os.path.join(folder, f"{os.urandom(8).hex()}.pem")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content.encode())
        yield path
    finally:
        os.close(descriptor)
        if path.startswith(folder):
            os.unlink(path)
