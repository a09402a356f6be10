"""What tests of relays have in common: a cargo, agents that relay it, and the controller's end of both."""

from __future__ import annotations

import hashlib
import random
import ssl
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_client import AgentProcess

from orchestrator.fanout.certificates import Credentials, RunAuthority

CHUNK_BYTES = 16_000
GROUP_CHUNKS = 4
CONTENTS = {
    "cache:wheels/aa/x-1-py3-none-any.whl": random.Random(1).randbytes(1_000_001),
    "cache:wheels/bb/y-1-py3-none-any.whl": random.Random(2).randbytes(CHUNK_BYTES * GROUP_CHUNKS * 3),
    "cache:wheels/cc/empty": b"",
}


class Cargo:
    """Files as a controller cuts them, from the protocol's description and not from the agent's code."""

    def __init__(
        self, contents: Mapping[str, bytes], *, chunk_bytes: int = CHUNK_BYTES, group: int = GROUP_CHUNKS
    ) -> None:
        self.contents = contents
        self.chunk_bytes = chunk_bytes
        self.group = group
        self.chunks: list[bytes] = []
        self.list_of: dict[int, bytes] = {}
        """First chunk of each group → the list of that group."""
        self.files: list[dict[str, Any]] = []
        for path, content in contents.items():
            self.files.append(self._file(path, content))

    @property
    def total_bytes(self) -> int:
        return sum(map(len, self.contents.values()))

    def bytes_in(self, ranges: Sequence[Sequence[int]]) -> int:
        """How much these chunks hold."""
        return sum(len(self.chunks[number]) for first, end in ranges for number in range(first, end))

    def stream(self, ranges: Sequence[Sequence[int]]) -> bytes:
        """What a source sends to whom lacks these chunks."""
        return b"".join(self.units(ranges))

    def units(self, ranges: Sequence[Sequence[int]]) -> list[bytes]:
        """The stream in its pieces: lists and chunks."""
        starts = sorted(self.list_of)
        listed = None
        units = []
        for first, end in ranges:
            for number in range(first, end):
                start = max(start for start in starts if start <= number)
                if start != listed:
                    units.append(b"L" + self.list_of[start])
                    listed = start
                units.append(b"C" + self.chunks[number])
        return units

    def _file(self, path: str, content: bytes) -> dict[str, Any]:
        pieces = [content[start : start + self.chunk_bytes] for start in range(0, len(content), self.chunk_bytes)]
        digests = []
        for start in range(0, len(pieces), self.group):
            joined = b"".join(hashlib.sha256(piece).digest() for piece in pieces[start : start + self.group])
            self.list_of[len(self.chunks) + start] = joined
            digests.append(hashlib.sha256(joined).hexdigest())
        self.chunks.extend(pieces)
        return {
            "path": path,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "mode": 0o640,
            "digests": digests,
        }


class RelayAgent(AgentProcess):
    """An agent that relays one cargo, seen from the controller."""

    def start(
        self, cargo: Cargo, authority: RunAuthority, *, name: str = "worker", ports: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Begin to relay and return its `ready`."""
        self.credentials = authority.issue(name)
        self.number = self.begin("relay", **parameters_of(cargo, authority, self.credentials, ports))
        self.attempt = 0
        self.ready = self.until("ready")
        return self.ready

    def tell(self, do: str, payload: bytes = b"", **fields: Any) -> None:
        """Send a message to the relay."""
        size = {"bytes": len(payload)} if payload else {}
        self.send({"id": self.number, "tell": {"do": do, **fields}, **size}, payload)

    def pull(self, address: str, port: int, certificate_sha256: str) -> None:
        self.attempt += 1
        self.tell("pull", attempt=self.attempt, address=address, port=port, certificate_sha256=certificate_sha256)

    def pull_from(self, parent: RelayAgent) -> None:
        self.pull(parent.ready["address"], parent.ready["port"], parent.credentials.sha256)

    def feed(self) -> list[list[int]]:
        """Have it take from us; return what it lacks."""
        self.attempt += 1
        self.tell("feed", attempt=self.attempt)
        wanted = self.until("wants")
        assert wanted["attempt"] == self.attempt
        ranges: list[list[int]] = wanted["ranges"]
        return ranges

    def pieces(self, stream: bytes, *, size: int = 50_000, attempt: int | None = None) -> None:
        """Send slices of a stream, whose ends have nothing to do with those of units."""
        for start in range(0, len(stream), size):
            self.tell("piece", stream[start : start + size], attempt=attempt or self.attempt)

    def until(self, name: str) -> dict[str, Any]:
        """Return the next event of this name."""
        while True:
            frame = self.read()
            assert frame, f"the agent ended before `{name}`"
            assert "error" not in frame, frame["error"]
            if frame.get("event") == name:
                return frame

    def until_held(self, least: int) -> None:
        """Wait until it holds so many bytes."""
        while self.until("at")["held_bytes"] < least:
            pass

    def finish(self) -> dict[str, int]:
        """Have it end and return its result."""
        self.tell("finish")
        result: dict[str, int] = self.end(self.number)
        return result

    def begin_to_hold(self, cargo: Cargo, chunk_count: int) -> None:
        """Feed it the first chunks of a cargo."""
        lacking = self.feed()
        self.pieces(cargo.stream([[lacking[0][0], lacking[0][0] + chunk_count]]))
        self.until_held(cargo.total_bytes - cargo.bytes_in(lacking) + cargo.bytes_in([[0, chunk_count]]))

    def contents(self, cargo: Cargo) -> dict[str, bytes]:
        """What lies under the final names."""
        return {path: self.path_of(path).read_bytes() for path in cargo.contents}

    def path_of(self, path: str) -> Path:
        return self.cache / path.removeprefix("cache:")

    def parts(self) -> list[Path]:
        """The part files on its disk."""
        return sorted(self.cache.rglob("*.part"))


def parameters_of(
    cargo: Cargo, authority: RunAuthority, credentials: Credentials, ports: Sequence[int] | None
) -> dict[str, Any]:
    return {
        "files": cargo.files,
        "chunk_bytes": cargo.chunk_bytes,
        "group_chunks": cargo.group,
        "tls": {
            "authority": authority.certificate_pem,
            "certificate": credentials.certificate_pem,
            "key": credentials.key_pem,
        },
        "ports": ports,
        "tell_every_s": 0.1,
    }


def tls_context(
    purpose: ssl._SSLMethod, authority: RunAuthority, credentials: Credentials | None, folder: Path
) -> ssl.SSLContext:
    """An end of our own, with the standard library's blocking sockets."""
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.certificate_pem)
    if credentials is not None:
        path = folder / "identity.pem"
        path.write_text(credentials.certificate_pem + credentials.key_pem)
        context.load_cert_chain(path)
    return context


def wish(*ranges: tuple[int, int]) -> bytes:
    """What a child asks its parent for."""
    return struct.pack("!I", len(ranges)) + b"".join(struct.pack("!II", *limits) for limits in ranges)
