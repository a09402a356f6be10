"""Packs the agent for its journey; runs on the controller.

What is sent is one JSON object, file name → source, in one zlib stream; hosts keep it under its digest. Every host of a
run may need it at the same moment, so it is small, and unpacking it imports nothing that the agent itself does not.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import NamedTuple

_TEXT = re.compile(r'^([^"\n]*)"""(.*?)"""', re.MULTILINE | re.DOTALL)
"""A long string, and what stands before it on its line: nothing, when it is a docstring."""
_STAYS_HERE = {"bootstrap.py", "packing.py"}


class PackedAgent(NamedTuple):
    """The agent as it is sent to a host that does not have it yet."""

    content: bytes
    """Equal sources give equal bytes."""
    sha256: str
    first_line: bytes
    """What the host's `exec(sys.stdin.buffer.readline())` reads, with its newline."""


def pack() -> PackedAgent:
    """Return the agent's own sources, packed."""
    folder = Path(__file__).parent
    sources = {
        path.name: without_docstrings(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.py"))
        if path.name not in _STAYS_HERE
    }
    content = zlib.compress(json.dumps(sources).encode())
    sha256 = hashlib.sha256(content).hexdigest()
    source = without_docstrings((folder / "bootstrap.py").read_text(encoding="utf-8"))
    first_line = f"exec({source!r}); start({sha256!r}, {len(content)})\n".encode()
    return PackedAgent(content=content, sha256=sha256, first_line=first_line)


def without_docstrings(source: str) -> str:
    """Return Python source without what is for its readers; every statement keeps its line, for tracebacks.

    It knows no more of Python than the agent's own style needs, because parsing costs every command 0.04 s.
    """
    return _TEXT.sub(_shorten, source)


def _shorten(text: re.Match[str]) -> str:
    before, content = text.groups()
    return text[0] if before.strip() else f'{before}""' + "\n" * content.count("\n")
