"""Frames: one line of JSON each, followed by as many raw bytes as its `bytes` says."""

from __future__ import annotations

import json
import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    Frame = dict[str, Any]

PROTOCOL = 1


def read_frame(stream: BinaryIO) -> tuple[Frame, bytes] | None:
    """Return the next frame and its raw bytes; None when the other side has hung up.

    Raises ValueError when the line is no frame: nothing after it can be trusted.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    frame = json.loads(line)
    if not isinstance(frame, dict):
        raise ValueError(f"a frame must be an object, not {type(frame).__name__}")  # noqa: TRY004 - a value on the wire
    size = int(frame.get("bytes", 0))
    payload = stream.read(size) if size else b""
    return (frame, payload) if len(payload) == size else None


class FrameWriter:
    """Writes whole frames from many threads; silent once nobody reads any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, frame: Frame, payload: bytes = b"") -> None:
        """Write one frame; `payload` goes behind it as its raw bytes."""
        if payload:
            frame["bytes"] = len(payload)
        rest = memoryview(json.dumps(frame, separators=(",", ":")).encode() + b"\n" + payload)
        with self._lock:
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:  # the reader sees the end of its stream too, and ends the agent
                return
