"""Read what an agent answered."""

from __future__ import annotations

from typing import TypeVar

from orchestrator.errors import HostError
from orchestrator.model.codec import DocumentError, from_document
from orchestrator.ports import Remote

T = TypeVar("T")


def read_answer(kind: type[T], document: object, remote: Remote) -> T:
    """Return an agent's result document as a value. Raises HostError when it has another shape."""
    try:
        return from_document(kind, document)
    except DocumentError as error:
        raise HostError(f"{remote.host}: its answer cannot be read: {error}") from error
