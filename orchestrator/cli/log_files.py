"""Open what `explain` is given: a log in a file, a pipe, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import UsageError

STANDARD_INPUT = Path("-")


@contextmanager
def opened_log(path: Path) -> Iterator[BinaryIO]:
    """Open a log for reading; `-` is standard input. *Raises* UsageError where it cannot be read."""
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="dsdeploy explain LOG, or - for a pipe"
        ) from error
