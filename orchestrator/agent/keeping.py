"""Keeps what is installed before it changes: every file, byte for byte, with its mode and time."""

from __future__ import annotations

import contextlib
import json
import os
import stat

from .errors import AgentError
from .own_files import Site
from .record import compiled_forms, digest_of, find_metadata, read_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator

    from .disk import Disk

    Manifest = dict[str, Any]

_MANIFEST = "manifest.json"
_LEADING = "~-.=%0123456789"
"""What pip puts in place of a name's first letters when it sets a folder aside (pip/_internal/utils/temp_dir.py)."""


def survey(site: Site, names: Iterable[str], incoming: Iterable[str]) -> Manifest:
    """Return what must be kept before distributions (normalised names) change and files come to the paths `incoming`.

    That is: every file of these distributions as it is now, edits included; what else is at those paths; and what is
    not there, so that it can be taken out again. Raises AgentError (install) when a distribution has no list of files.
    """
    distributions = {name: site.own(_files_of(site, name)) for name in names}
    coming = site.own(incoming)
    owners = dict.fromkeys(site.own(_with_compiled(coming)), "")
    owners.update({path: name for name, paths in distributions.items() for path in paths})
    files = [dict(file, distribution=owners[file["path"]]) for file in map(_describe, sorted(owners)) if file]
    folders = site.folders_above([*owners, *coming])
    there = {folder: stat.S_IMODE(os.stat(folder).st_mode) for folder in folders if os.path.isdir(folder)}
    return {
        "distributions": sorted(distributions),
        "files": [dict(file, kept=str(number)) for number, file in enumerate(files)],
        "folders": there,
        "incoming": coming,
        "new_folders": [folder for folder in folders if folder not in there],
        "litter": find_litter(there),
        "record_sha256": next((file["sha256"] for file in files if _is_record_of_deepspeed(file)), None),
    }


def keep(disk: Disk, folder: str, manifest: Manifest) -> None:
    """Keep the files of a survey in a new folder, on disk when this returns. Raises OSError."""
    disk.make_folder(folder)
    for file in manifest["files"]:
        if "target" not in file:
            _keep_file(disk, file, os.path.join(folder, file["kept"]))
    disk.write(os.path.join(folder, _MANIFEST), json.dumps(manifest).encode())
    disk.sync_folder(folder)
    disk.sync_folder(os.path.dirname(folder))


def load_manifest(folder: str) -> Manifest:
    """Return a survey that was kept, with the path of each file's bytes as its `source`.

    Raises AgentError (install) when it is gone.
    """
    try:
        with open(os.path.join(folder, _MANIFEST), encoding="utf-8") as stream:
            manifest: Manifest = json.load(stream)
    except (OSError, ValueError) as error:
        hint = "nothing can put it back: look at what is installed there, and install it anew by hand"
        raise AgentError("install", f"what was kept in {folder} is gone: {error}", hint) from error
    for file in manifest["files"]:
        file["source"] = os.path.join(folder, file["kept"])
    return manifest


def compose(manifests: Iterable[Manifest]) -> Manifest:
    """Return what was there before several changes, newest first: of each distribution what the oldest one kept."""
    distributions: set[str] = set()
    incoming: set[str] = set()
    files: dict[str, dict[str, Any]] = {}
    folders: dict[str, int] = {}
    for manifest in manifests:
        replaced = set(manifest["distributions"])
        files = {path: file for path, file in files.items() if file["distribution"] not in replaced}
        files.update({file["path"]: file for file in manifest["files"]})
        folders.update(manifest["folders"])
        distributions |= replaced
        incoming.update(manifest["incoming"])
    needed = {folder: mode for folder, mode in folders.items() if any(path.startswith(f"{folder}/") for path in files)}
    return {
        "distributions": sorted(distributions),
        "files": list(files.values()),
        "folders": needed,
        "incoming": sorted(incoming.union(files)),
    }


def find_litter(folders: Iterable[str]) -> list[str]:
    """Return what pip leaves beside folders that it was removing when it was killed: `~eepspeed`."""
    known: dict[str, list[str]] = {}
    for folder in folders:
        known.setdefault(os.path.dirname(folder), []).append(os.path.basename(folder))
    return sorted(path for parent, names in known.items() for path in _litter_in(parent, names))


def _litter_in(parent: str, names: list[str]) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for found in os.listdir(parent):
            rest = found.lstrip(_LEADING)
            if found.startswith("~") and rest and any(name.endswith(rest) for name in names):
                yield os.path.join(parent, found)


def _files_of(site: Site, name: str) -> Iterator[str]:
    for folder in site.folders:
        for metadata in find_metadata(folder, name):
            if not os.path.isfile(os.path.join(metadata, "RECORD")):
                message = f"{metadata} has no list of its files: what pip removes of it could not be put back"
                raise AgentError("install", message, f"remove that {name} with what installed it, then run again")
            yield from _with_compiled(file.path for file in read_record(metadata))
            for parent, _, files in os.walk(metadata):
                yield from (os.path.join(parent, file) for file in files)


def _with_compiled(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield path
        yield from compiled_forms(path)


def _describe(path: str) -> dict[str, Any] | None:
    """Return what is at a path; None for nothing, and for what no wheel brings: a folder, a device."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return {"path": path, "target": os.readlink(path)}
        if not stat.S_ISREG(found.st_mode):
            return None
        return {
            "path": path,
            "mode": stat.S_IMODE(found.st_mode),
            "mtime_ns": found.st_mtime_ns,
            "size": found.st_size,
            "sha256": digest_of(path).hex(),
        }
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AgentError("install", f"{path} cannot be read, so it cannot be kept: {error.strerror}") from error


def _keep_file(disk: Disk, file: dict[str, Any], kept: str) -> None:
    try:
        disk.link(file["path"], kept)
    except OSError:  # another file system, or not our file
        disk.copy(file["path"], kept)


def _is_record_of_deepspeed(file: dict[str, Any]) -> bool:
    return file["distribution"] == "deepspeed" and file["path"].endswith(".dist-info/RECORD") and "sha256" in file
