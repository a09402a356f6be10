"""Packs the agent for its journey; runs on the controller.

What is sent is one zip with the folder `dsdeploy_agent/`, named by its digest, so that a host keeps it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

PACKAGE = "dsdeploy_agent"
"""Its name on the hosts."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_STAYS_HERE = {"bootstrap.py", "packing.py"}


class PackedAgent(NamedTuple):
    """The agent as it is sent to a host that does not have it yet."""

    content: bytes
    """The zip: equal sources give equal bytes."""
    sha256: str
    first_line: bytes
    """What the host's `exec(sys.stdin.buffer.readline())` reads, with its newline."""


def pack() -> PackedAgent:
    """Return the agent's own sources, packed."""
    folder = Path(__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.glob("*.py")):
            if path.name not in _STAYS_HERE:
                entry = zipfile.ZipInfo(f"{PACKAGE}/{path.name}", _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    source = (folder / "bootstrap.py").read_text(encoding="utf-8")
    first_line = f"exec({source!r}); start({sha256!r}, {len(content)})\n".encode()
    return PackedAgent(content=content, sha256=sha256, first_line=first_line)
