"""Carries the requests and answers of one agent session over a channel, many at once."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from orchestrator.errors import HostError
from orchestrator.remote.channels import Channel
from orchestrator.remote.frames import Frame, FrameReader, Noise, encode

_GREETING = 0
"""The number of the first exchange: it gets the frames without an id, which the agent sends before it is asked."""
_ANSWERS_IN_FLIGHT = 64
"""Frames that wait for a slow reader before the whole session waits for it: at most 16 MiB of chunks."""
_PATIENCE_S = 45.0
"""After so much silence an agent that owes an answer is given up; after each third of it, it is asked for a sign of
life. TCP's own timers notice a dead network sooner; this notices a frozen host, and one behind a jump host."""
_SILENT_S = 3.0
"""A connection that ends after so much silence has timed out."""
_NOISE_LINES = 20
_GOODBYE_S = 2.0


class ConnectionLostError(HostError):
    """The channel ended while something was asked of the agent."""


class Exchange:
    """One request in flight, and what the agent has said about it."""

    def __init__(self, wire: Wire, number: int) -> None:
        self.number = number
        self.is_over = False
        """Whether the result, or the error, was read."""
        self._wire = wire
        self._answers: queue.Queue[Frame | None] = queue.Queue(maxsize=_ANSWERS_IN_FLIGHT)

    def next(self, *, deadline: float | None = None) -> Frame:
        """Wait for the agent's next frame; `deadline` is a time of `time.monotonic`.

        Raises TimeoutError when the deadline passes, ConnectionLostError when the connection is lost.
        """
        since = time.monotonic()
        while True:
            if not self.has_answer:
                self._wire.check_pulse(since)
            wait_s = self._wire.ping_after_s
            if deadline is not None:
                wait_s = min(wait_s, deadline - time.monotonic())
            if wait_s <= 0:
                raise TimeoutError
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=wait_s)
                if answer is not None:
                    self.is_over = "event" not in answer.header
                    return answer

    @property
    def has_answer(self) -> bool:
        """Whether `next` would return at once."""
        return not self._answers.empty()

    def tell(self, answer: Frame) -> None:
        """Hand a frame to whoever waits for it; blocks while too many wait already."""
        self._answers.put(answer)

    def wake(self) -> None:
        """Let whoever waits look at the connection again."""
        with contextlib.suppress(queue.Full):
            self._answers.put_nowait(None)

    def forget(self) -> None:
        """Drop what nobody will read, so that nobody waits to tell us more."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._answers.get_nowait()


class Listener(Protocol):
    """Whoever wants answers in the thread that reads them; it must not block there."""

    def take(self, answer: Frame) -> None:
        """Take the next answer."""
        ...

    def lose(self, error: ConnectionLostError) -> None:
        """Take note that no more will come; the last call, once, unless `Wire.forget` came before."""
        ...


class Wire:
    """Both directions of a channel: a thread that reads it, and a lock for those who write."""

    def __init__(self, host: str, channel: Channel, *, patience_s: float = _PATIENCE_S) -> None:
        self.host = host
        self.ping_after_s = patience_s / 3
        self.noise: list[str] = []
        """The first lines that were no frames."""
        self._patience_s = patience_s
        self._channel = channel
        self._numbers = itertools.count(_GREETING)
        self._exchanges: dict[int, Exchange] = {}
        self._listeners: dict[int, Listener] = {}
        self._lost: str | None = None
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._heard_at = time.monotonic()
        self._asked_at = self._heard_at
        self._reader = threading.Thread(target=self._read, name=f"agent of {host}", daemon=True)

    def start(self) -> None:
        """Begin to read. The first exchange must be open: it gets the greeting."""
        self._reader.start()

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Open an exchange, and forget it at the end."""
        with self._lock:
            exchange = Exchange(self, next(self._numbers))
            self._exchanges[exchange.number] = exchange
        try:
            yield exchange
        finally:
            with self._lock:
                del self._exchanges[exchange.number]
            exchange.forget()

    def listen(self, listener: Listener) -> int:
        """Return the number of a request whose answers the listener will get. Raises ConnectionLostError."""
        with self._lock:
            if self._lost is not None:
                raise self._loss()
            number = next(self._numbers)
            self._listeners[number] = listener
        return number

    def forget(self, number: int) -> None:
        """Let go of a listener."""
        with self._lock:
            del self._listeners[number]

    def send(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send one frame. Raises ConnectionLostError."""
        self.send_raw(encode(header, payload))

    def send_raw(self, content: bytes) -> None:
        """Send bytes that are no frame. Raises ConnectionLostError."""
        try:
            with self._write_lock:
                self._channel.send(content)
        except OSError as error:
            self._lose(self._channel.last_words or str(error))
            raise self._loss() from error

    def check_pulse(self, since: float) -> None:
        """Ask a silent agent for a sign of life, give it up when it stays silent; counted from `since` on.

        Raises ConnectionLostError.
        """
        now = time.monotonic()
        silence_s = now - max(self._heard_at, since)
        if silence_s >= self._patience_s:
            self._lose(f"nothing was heard for {silence_s:.0f} s")
        if self._lost is not None:
            raise self._loss()
        if min(silence_s, now - self._asked_at) >= self.ping_after_s:
            self._asked_at = now
            self.send({"id": next(self._numbers), "op": "ping"})

    def cancel(self, number: int) -> None:
        """Ask the agent to stop working on a request."""
        with contextlib.suppress(ConnectionLostError):
            self.send({"id": next(self._numbers), "op": "cancel", "target": number})

    def close(self) -> None:
        """End the session; the agent gets 2 s to clean up first."""
        self._channel.end_input()
        if self._reader.is_alive():
            self._reader.join(_GOODBYE_S)
        self._lose("it was closed")

    def _read(self) -> None:
        frames = FrameReader(self._hear)
        try:
            while (item := frames.next()) is not None:
                self._deliver(item)
        finally:
            self._lose(self._channel.last_words or self._how_it_ended())
            for listener in list(self._listeners.values()):  # none comes any more, none goes: only this thread forgets
                listener.lose(self._loss())

    def _how_it_ended(self) -> str:
        silence_s = time.monotonic() - self._heard_at
        return "it hung up" if silence_s < _SILENT_S else f"nothing was heard for {silence_s:.0f} s"

    def _hear(self, limit: int) -> bytes:
        piece = self._channel.receive(limit)
        self._heard_at = time.monotonic()
        return piece

    def _deliver(self, item: Frame | Noise) -> None:
        if isinstance(item, Noise):
            if len(self.noise) < _NOISE_LINES:
                self.noise.append(item.text)
            return
        number = item.header.get("id", _GREETING)
        listener = self._listeners.get(number)
        if listener is not None:
            listener.take(item)
            return
        exchange = self._exchanges.get(number)
        if exchange is not None:
            exchange.tell(item)

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self._lost is None:
                self._lost = reason
            exchanges = list(self._exchanges.values())
        for exchange in exchanges:
            exchange.wake()
        self._channel.close()

    def _loss(self) -> ConnectionLostError:
        reason = f": {self._lost}" if self._lost else ""
        hint = "is it still up? its agent ends what was running and cleans up by itself"
        return ConnectionLostError(f"the connection to {self.host} was lost{reason}", hint=hint)
