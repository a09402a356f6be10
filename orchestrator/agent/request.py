"""One request while it is served: what was asked, its events, and the programs that run for it."""

from __future__ import annotations

from .errors import AgentError
from .processes import Children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from .cache import Cache
    from .protocol import Frame, FrameWriter

    T = TypeVar("T")


class Request:
    """What an operation is given."""

    def __init__(self, frame: Frame, cache: Cache, writer: FrameWriter) -> None:
        self.number = frame.get("id")
        self.operation = str(frame.get("op"))
        self.cache = cache
        self.children = Children()
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

    def event(self, name: str, payload: bytes = b"", **fields: object) -> None:
        """Send an event of this request."""
        self._writer.write(dict(fields, id=self.number, event=name), payload)

    def answer(self, result: object) -> None:
        """Send the result."""
        self._writer.write({"id": self.number, "result": result})

    def refuse(self, error: AgentError) -> None:
        """Send the error instead of a result."""
        self._writer.write({"id": self.number, "error": error.document()})
