"""What this host has written down about each interpreter: who has deployed into it, and what is under way there.

One small file for each host and prefix, because hosts that share a home work at the same moment.
"""

from __future__ import annotations

import hashlib
import json
import os

from .errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cache import Cache

SCHEMA = "dsdeploy.ledger/1"
_PENDING_FIELDS = ("deployment", "state", "prefix", "author", "since", "before", "after")


class Ledger:
    """The ledger of one interpreter: documents of the model's Stamp, Pending and Kept.

    `pending` has two fields more: the `stamp` to commit, and as `kept` what undoing puts back; both may be None.
    `committed` is the deployment that was committed last.
    """

    def __init__(self, path: str, prefix: str, document: dict[str, Any]) -> None:
        self.path = path
        self.prefix = prefix
        self.stamp: dict[str, Any] | None = document.get("stamp")
        self.pending: dict[str, Any] | None = document.get("pending")
        self.kept: list[dict[str, Any]] = document.get("kept", [])
        self.committed: str | None = document.get("committed") or (self.stamp and self.stamp["deployment"])

    @classmethod
    def load(cls, cache: Cache, prefix: str) -> Ledger:
        """Return the ledger of the interpreter with this `sys.prefix`; an empty one when nothing was deployed there.

        Raises AgentError (host) when there is one that cannot be read.
        """
        path = os.path.join(_folder(cache), f"{key(prefix)}.json")
        return cls(path, prefix, _read(path) or {})

    @property
    def key(self) -> str:
        """A word that no other interpreter and no other host has."""
        return key(self.prefix)

    def document(self) -> dict[str, Any]:
        """Return the document of the model's HostLedger."""
        pending = self.pending and {name: self.pending[name] for name in _PENDING_FIELDS}
        ended = {"stamp": self.stamp, "kept": self.kept, "committed": self.committed}
        return dict(ended, prefix=self.prefix, pending=pending)

    def content(self) -> dict[str, Any]:
        """Return what its file is to hold."""
        return {
            "schema": SCHEMA,
            "hostname": os.uname().nodename,
            "prefix": self.prefix,
            "stamp": self.stamp,
            "pending": self.pending,
            "kept": self.kept,
            "committed": self.committed,
        }


def all_ledgers(cache: Cache) -> list[Ledger]:
    """Return every ledger that this host wrote. Raises AgentError (host) when one cannot be read."""
    folder = _folder(cache)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    ledgers = []
    for path in (os.path.join(folder, name) for name in names if name.endswith(".json")):
        document = _read(path) or {}
        prefix = document.get("prefix") or (document.get("stamp") or {}).get("prefix")
        if prefix and document.get("hostname") == os.uname().nodename:
            ledgers.append(Ledger(path, prefix, document))
    return ledgers


def key(prefix: str) -> str:
    """Return a word that this host alone has for an interpreter."""
    return hashlib.sha256(f"{os.uname().nodename}\0{prefix}".encode()).hexdigest()[:32]


def _folder(cache: Cache) -> str:
    return os.path.join(cache.folder, "deployments")


def _read(path: str) -> dict[str, Any] | None:
    """Return a ledger's content; an older one holds the stamp and the host's name alone."""
    try:
        with open(path, encoding="utf-8") as stream:
            document: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        hint = "if it is damaged, remove it: what was deployed there is forgotten then, and installed anew"
        raise AgentError("host", f"{path} cannot be read: {error}", hint) from error
    return document
