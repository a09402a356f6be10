"""Finds what has changed on this host under a deployment: cheap enough for every probe."""

from __future__ import annotations

import os

from .ledger import all_ledgers
from .local_status import edited_files
from .record import find_metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cache import Cache
    from .ledger import Ledger

MOST_NAMED = 20
"""So many edited files are told by name."""


def find_edits(interpreter: dict[str, Any], stamp: dict[str, Any] | None) -> list[str]:
    """Return the files of the stamped DeepSpeed that are not as its RECORD says, relative to its site-packages.

    None where there is no stamp, or another DeepSpeed than the stamped one, whose RECORD proves nothing.
    """
    deepspeed = interpreter["deepspeed"]
    if stamp is None or deepspeed is None or deepspeed["record_sha256"] != stamp["record_sha256"]:
        return []
    metadata = find_metadata(deepspeed["location"], "deepspeed")
    return edited_files(os.path.join(metadata[0], "RECORD")) if metadata else []


def deployed_python(cache: Cache) -> str | None:
    """Return the interpreter of this host that the newest deployment went into; None when there was none."""
    used = [ledger for ledger in all_ledgers(cache) if _newest(ledger)]
    if not used:
        return None
    folder = os.path.join(max(used, key=_newest).prefix, "bin")
    names = [os.path.join(folder, name) for name in ("python", "python3")]
    return next((path for path in names if os.path.exists(path)), names[0])


def _newest(ledger: Ledger) -> str:
    """Return the deployment that a ledger heard of last; their ids sort by time."""
    return (ledger.pending["deployment"] if ledger.pending else ledger.committed) or ""
