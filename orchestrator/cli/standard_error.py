"""Standard error for a run that goes on when nobody reads it any more."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from pathlib import Path
from typing import TextIO, cast


def lasting_standard_error() -> AbstractContextManager[object]:
    """Let nothing fail that writes to standard error, whoever writes: once its terminal died, it says no more."""
    stream = cast("TextIO | None", sys.stderr)  # none when its descriptor was closed before we began
    return redirect_stderr(cast("TextIO", _Lasting(stream or io.StringIO())))


class _Lasting(io.TextIOBase):
    """A text stream that never fails. After the first failure its descriptor leads to /dev/null.

    Python writes what is left in a stream when it ends, and a failure then would change the exit code.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def write(self, text: str) -> int:
        with self._muted_by_failure():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._muted_by_failure():
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @contextmanager
    def _muted_by_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
