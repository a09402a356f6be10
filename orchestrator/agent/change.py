"""One change of what is installed in an interpreter: begun, then committed or undone, from whatever state a crash left.

Each step is in the interpreter's ledger, on disk, before the next one begins. What was there is in `previous/<id>/`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os

from .disk import Disk
from .errors import AgentError
from .keeping import compose, keep, load_manifest
from .ledger import Ledger
from .restoring import put_in_again, refuse_damaged, undo_change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from .cache import Cache
    from .keeping import Manifest

    Document = dict[str, Any]

_MOST_KEPT = 3
_RESERVE_BYTES = 1 << 16
"""Set aside while a deployment is under way: on a full disk it can still be written down that it is undone."""


class Change:
    """Changes and ends what is pending in the interpreter with this `sys.prefix`; the caller has the host's lock.

    Raises AgentError (install) when the disk fails, or the ledger says that a step is not the next one.
    """

    def __init__(self, cache: Cache, prefix: str, disk: Disk | None = None) -> None:
        self.ledger = Ledger.load(cache, prefix)
        self._previous = os.path.join(cache.folder, "previous")
        self._disk = disk or Disk()

    def begin(self, pending: Document, manifest: Manifest | None) -> None:
        """Keep what is there, then write down that a deployment is activating.

        `pending`: the document of the model's Pending, with the `stamp` to commit or None; its `state` is set here.
        `manifest`: the survey of all that changes; None when another host, which shares it, changes and keeps it.
        """
        self.refuse_pending()
        kept: Document | None = manifest and {
            "id": f"{self.ledger.key}-{os.urandom(4).hex()}",
            "replaced_by": pending["deployment"],
            "version": pending["before"],
            "record_sha256": manifest["record_sha256"],
            "stamp": self.ledger.stamp,
        }
        with self._told("what is installed could not be kept"):
            self._sweep()
            try:
                self._set_aside(kept, manifest)
            except OSError:
                self._sweep()
                raise
            self.ledger.pending = dict(pending, state="activating", kept=kept)
            self._write()

    def content_of(self, kept: str) -> Manifest:
        """Return what was there before the deployment that replaced `kept`, and before all later ones.

        Raises AgentError (install) when it is not kept any more, or damaged.
        """
        ids = [entry["id"] for entry in self.ledger.kept]
        if kept not in ids:
            raise AgentError("install", f"{kept} is not kept here any more; there are: {', '.join(ids) or 'none'}")
        content = compose(load_manifest(self._folder(id_)) for id_ in ids[: ids.index(kept) + 1])
        refuse_damaged(content["files"])
        return content

    def put_in(self, content: Manifest) -> None:
        """Put in what an earlier change replaced."""
        kept = self._pending["kept"]
        with self._told("what was kept could not be put in"):
            put_in_again(self._disk, content, load_manifest(self._folder(kept["id"])))

    def activated(self, record_sha256: str | None) -> None:
        """Write down that the new one is whole; the digest is that of its RECORD."""
        if self._pending["stamp"]:
            self._pending["stamp"]["record_sha256"] = record_sha256
        self._go_on("activating", "activated")

    def verified(self, deployment: str) -> None:
        """Write down that every op works."""
        if self._is_pending(deployment) and self._pending["state"] == "verified":
            return
        self._refuse_other(deployment)
        self._go_on("activated", "verified")

    def commit(self, deployment: str) -> None:
        """Make the verified change what is installed; does nothing when that is done already."""
        if self.ledger.pending is not None or self.ledger.committed != deployment:
            self._refuse_other(deployment)
            self._refuse_state("verified")
            self.ledger.committed = deployment
            self._end(self._pending["stamp"])
        self._tidy()

    def leave(self, deployment: str) -> None:
        """End the change with whatever is there now, which nobody vouches for; does nothing when it is ended."""
        if self._is_pending(deployment):
            self._end(None)
        self._tidy()

    def undo(self, deployment: str) -> None:
        """Put back what was there, byte for byte, with modes and times; does nothing when nothing is pending."""
        with self._told("what was there could not be put back"):
            if self._is_pending(deployment):
                self._pending["state"] = "undoing"
                self._write()
                if self._pending["kept"]:
                    undo_change(self._disk, load_manifest(self._folder(self._pending["kept"]["id"])))
                self.ledger.pending = None
                self._write()
        self._tidy()

    def refuse_pending(self) -> None:
        """Raise AgentError (install) when a deployment did not end here."""
        pending = self.ledger.pending
        if pending is not None:
            message = f"deployment {pending['deployment']} by {pending['author']} did not end here"
            raise AgentError("install", f"{message}: {pending['state']} since {pending['since']}", "dsdeploy recover")

    def _set_aside(self, kept: Document | None, manifest: Manifest | None) -> None:
        self._make_folder(os.path.dirname(self.ledger.path))
        self._disk.write(self._reserve, os.urandom(_RESERVE_BYTES))
        if kept and manifest:
            self._make_folder(self._previous)
            keep(self._disk, self._folder(kept["id"]), manifest)

    @property
    def _pending(self) -> Document:
        if self.ledger.pending is None:
            raise AgentError("install", "no deployment is under way here")
        return self.ledger.pending

    def _is_pending(self, deployment: str) -> bool:
        if self.ledger.pending is not None:
            self._refuse_other(deployment)
        return self.ledger.pending is not None

    def _refuse_other(self, deployment: str) -> None:
        found = self._pending["deployment"]
        if found != deployment:
            raise AgentError("install", f"deployment {found} is under way here, not {deployment}", "dsdeploy recover")

    def _refuse_state(self, expected: str) -> None:
        state = self._pending["state"]
        if state != expected:
            raise AgentError("install", f"deployment {self._pending['deployment']} is {state} here, not {expected}")

    def _go_on(self, expected: str, state: str) -> None:
        self._refuse_state(expected)
        self._pending["state"] = state
        with self._told(f"that it is {state} could not be written down"):
            self._write()

    def _end(self, stamp: Document | None) -> None:
        kept = self._pending["kept"]
        self.ledger.stamp = stamp
        self.ledger.kept = [*([kept] if kept else []), *self.ledger.kept][:_MOST_KEPT]
        self.ledger.pending = None
        with self._told("that it is over could not be written down"):
            self._write()

    def _tidy(self) -> None:
        with contextlib.suppress(OSError):  # the next change of this interpreter tries again
            self._sweep()

    def _write(self) -> None:
        path, content = self.ledger.path, json.dumps(self.ledger.content()).encode()
        self._make_folder(os.path.dirname(path))
        try:
            self._disk.write(f"{path}.part", content)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._disk.remove(self._reserve)
            self._disk.write(f"{path}.part", content)
        self._disk.rename(f"{path}.part", path)
        self._disk.sync_folder(os.path.dirname(path))

    def _make_folder(self, path: str) -> None:
        if not os.path.isdir(path):
            self._disk.make_folder(path)
            self._disk.sync_folder(os.path.dirname(path))

    def _sweep(self) -> None:
        """Remove what was set aside for this interpreter and is needed no more."""
        pending = self.ledger.pending
        if pending is None:
            self._disk.remove(self._reserve)
        needed = {entry["id"] for entry in self.ledger.kept}
        if pending and pending["kept"]:
            needed.add(pending["kept"]["id"])
        names = os.listdir(self._previous) if os.path.isdir(self._previous) else []
        for name in sorted(names):
            if name.startswith(self.ledger.key) and name not in needed:
                for file in os.listdir(self._folder(name)):
                    self._disk.remove(os.path.join(self._folder(name), file))
                self._disk.remove_folder(self._folder(name))

    @property
    def _reserve(self) -> str:
        return f"{self.ledger.path}.reserve"

    def _folder(self, kept: str) -> str:
        return os.path.join(self._previous, kept)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AgentError("install", f"{what}: {error}") from error
