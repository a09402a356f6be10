"""Write a command's result to stdout, as one JSON document or as people read it; read and write documents."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from orchestrator.cli.options import Output
from orchestrator.errors import UsageError


def show(document: Mapping[str, Any], draw: Callable[[], RenderableType], output: Output) -> None:
    """Print the document with `--json`, else what `draw` returns."""
    if output.json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        Console().print(draw())


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write a document as a file, whole or not at all. Raises UsageError."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
        Path(file.name).replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def read_document(path: Path, *, schema: str) -> Mapping[str, Any]:
    """Return the document in a file. Raises UsageError when it cannot be read or is of another schema."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise UsageError(f"{path}: its schema is {found}, not {schema}")
    return dict(document)
