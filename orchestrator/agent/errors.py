"""The one exception that travels to the controller."""

from __future__ import annotations


class AgentError(Exception):
    """An expected failure of one request.

    `kind` is one of host, transfer, install, verify, locked, usage: which of the controller's errors it becomes there.
    """

    def __init__(self, kind: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint

    def document(self) -> dict[str, str | None]:
        """Return what goes over the wire."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint}
