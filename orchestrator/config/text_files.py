"""Read a small text file that a person named; whatever may be wrong with it is a usage error."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import UsageError

MAX_BYTES = 8 * 1024 * 1024


def read_text(path: Path, *, kind: str, hint: str) -> str:
    """Return the file's text (UTF-8, with or without a byte order mark); `kind` is what messages call it.

    Raises UsageError when it is missing (with `hint`), a folder, unreadable, larger than 8 MiB, or not text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{kind} {path} does not exist", hint=hint) from None
    except IsADirectoryError:
        raise UsageError(f"{kind} {path} is a folder", hint="name the file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{kind} {path} cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"{kind} {path} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{kind} {path} is not text: byte {error.start} is no UTF-8") from None
    if "\0" in text:
        raise UsageError(f"{kind} {path} is not text: it holds NUL bytes")
    return text
