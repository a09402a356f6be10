"""Frames of the agent protocol: one line of JSON, and after it as many raw bytes as its `bytes` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CHUNK_BYTES = 256 * 1024
"""Raw bytes in one frame: eight SSH packets, and small enough that other requests get their turn."""
_LONGEST_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    header: Mapping[str, Any]
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A line that is no frame: what a login script prints before the agent starts."""

    text: str


def encode(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Return a frame's bytes; a payload adds its own `bytes` entry."""
    if payload:
        header = {**header, "bytes": len(payload)}
    return json.dumps(header, separators=(",", ":")).encode() + b"\n" + payload


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        """Read through `receive(limit)`, which returns 1 to `limit` bytes, and none at the end."""
        self._receive = receive
        self._buffer = bytearray()

    def next(self) -> Frame | Noise | None:
        """Return the next frame or noise; None at the end, also when the stream ends inside a frame."""
        line = self._line()
        if line is None:
            return None
        header = _parse(line)
        if header is None:
            return Noise(text=line.decode(errors="replace").rstrip())
        size_bytes = header.get("bytes", 0)
        if not self._fill(size_bytes):
            return None
        return Frame(header=header, payload=self._take(size_bytes))

    def _line(self) -> bytes | None:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > _LONGEST_LINE_BYTES or not self._fill(searched + 1):
                return None
        return self._take(end + 1)

    def _fill(self, size_bytes: int) -> bool:
        """Read until the buffer holds so many bytes; false when the stream ends before."""
        while len(self._buffer) < size_bytes:
            piece = self._receive(CHUNK_BYTES)
            if not piece:
                return False
            self._buffer += piece
        return True

    def _take(self, size_bytes: int) -> bytes:
        piece = bytes(memoryview(self._buffer)[:size_bytes])
        del self._buffer[:size_bytes]
        return piece


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        header = json.loads(line.decode())
    except ValueError:
        return None
    if not isinstance(header, dict):
        return None
    size_bytes = header.get("bytes", 0)
    return header if isinstance(size_bytes, int) and size_bytes >= 0 else None
