"""One request while it is served: what was asked, what it is told meanwhile, its events, and what runs for it."""

from __future__ import annotations

import collections
import threading

from .errors import AgentError
from .processes import Children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    from .cache import Cache
    from .protocol import Frame, FrameWriter

    T = TypeVar("T")
    Told = tuple[dict[str, Any], bytes]

_MOST_WAITING = 16


class Request:
    """What an operation is given."""

    def __init__(self, frame: Frame, cache: Cache, writer: FrameWriter) -> None:
        self.number = frame.get("id")
        self.operation = str(frame.get("op"))
        self.cache = cache
        self.children = Children()
        self.messages = Messages()
        self._frame = frame
        self._writer = writer

    def value(self, name: str, kind: type[T]) -> T:
        """Return a parameter. Raises AgentError (usage) when it is missing or of another type."""
        found = self._frame.get(name)
        if not isinstance(found, kind):
            expected, said = kind.__name__, "missing" if found is None else repr(found)
            raise AgentError("usage", f"{self.operation}: `{name}` must be a {expected}, it is {said}")
        return found

    def optional(self, name: str, kind: type[T]) -> T | None:
        """Return a parameter that may be missing or null."""
        return None if self._frame.get(name) is None else self.value(name, kind)

    def seconds(self, name: str) -> float | None:
        """Return a time limit; None when there is none."""
        found = self._frame.get(name)
        return None if found is None else float(found)

    def end(self) -> None:
        """Give up: end what runs for it, and tell it that nobody waits for it any more."""
        self.messages.close()
        self.children.end()

    def event(self, name: str, payload: bytes = b"", **fields: object) -> None:
        """Send an event of this request."""
        self._writer.write(dict(fields, id=self.number, event=name), payload)

    def answer(self, result: object) -> None:
        """Send the result."""
        self._writer.write({"id": self.number, "result": result})

    def refuse(self, error: AgentError) -> None:
        """Send the error instead of a result."""
        self._writer.write({"id": self.number, "error": error.document()})


class Messages:
    """What the controller tells a running request, in order; whoever tells more waits while 16 wait to be taken."""

    def __init__(self) -> None:
        self.is_closed = False
        """Whether the request was given up; what waits is dropped then."""
        self.on_change: Callable[[], None] = lambda: None
        """Called, in another thread, when there is something to take or it was closed."""
        self._waiting: collections.deque[Told] = collections.deque()
        self._changed = threading.Condition()

    def put(self, message: dict[str, Any], payload: bytes) -> None:
        """Add a message; blocks while too many wait."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_closed or len(self._waiting) < _MOST_WAITING)
            if not self.is_closed:
                self._waiting.append((message, payload))
        self.on_change()

    def take(self) -> Told | None:
        """Return the next message and its raw bytes; None when there is none at this moment."""
        if not self._waiting:
            return None
        with self._changed:
            self._changed.notify()
            return self._waiting.popleft()

    def close(self) -> None:
        """Take no more, and let nobody wait."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()
        self.on_change()
