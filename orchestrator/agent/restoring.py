"""Brings files back to what was kept of them: takes out what came since, puts in what was there, and checks it.

Each step can be repeated, so that whatever was cut off half-way is done again from its start.
"""

from __future__ import annotations

import os
import stat

from .errors import AgentError
from .keeping import find_litter
from .record import compiled_forms, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator

    from .disk import Disk
    from .keeping import Manifest

    KeptFile = dict[str, Any]

_PART = ".dsdeploy-part"


def undo_change(disk: Disk, manifest: Manifest) -> None:
    """Make everything what it was when the manifest was made, whatever has happened to it since.

    Raises OSError, and AgentError (install) when that cannot be done: then nothing was changed.
    """
    _refuse_detours(manifest)
    files = [file for file in manifest["files"] if not _is_edited_in_place(file)]
    refuse_damaged(files)
    stays = {file["path"] for file in manifest["files"]}
    _take_out(disk, (path for path in _everything_at(manifest["incoming"]) if path not in stays))
    for path in find_litter([*manifest["folders"], *manifest["new_folders"]]):
        if path not in manifest["litter"]:
            _remove_tree(disk, path)
    _remove_empty(disk, manifest["new_folders"])
    _put_in(disk, dict(manifest, files=files), by_link=True)
    _sync(disk, [*manifest["incoming"], *manifest["new_folders"], *stays])


def put_in_again(disk: Disk, content: Manifest, now: Manifest) -> None:
    """Put in what an earlier change replaced, in place of what is there now, which was surveyed.

    Its bytes are copied: what is kept must not change with what is installed.
    Raises OSError, and AgentError (install) when that cannot be done: then nothing was changed.
    """
    _refuse_detours(content)
    refuse_damaged(content["files"])
    stays = {file["path"] for file in content["files"]}
    there = [file["path"] for file in now["files"]]
    _take_out(disk, (path for path in _everything_at(there) if path not in stays))
    _remove_empty(disk, [*now["folders"], *now["new_folders"]])
    _put_in(disk, content, by_link=False)
    _sync(disk, [*there, *stays])


def refuse_damaged(files: Iterable[KeptFile]) -> None:
    """Raise AgentError (install) when one of the files that were kept has other bytes now."""
    _refuse_others((file, file["source"]) for file in files)


def _put_in(disk: Disk, content: Manifest, *, by_link: bool) -> None:
    for folder, mode in sorted(content["folders"].items()):
        if not os.path.isdir(folder):
            disk.make_folder(folder)
        if stat.S_IMODE(os.stat(folder).st_mode) != mode:
            disk.set_mode(folder, mode)
    for file in content["files"]:
        if "target" in file:
            _put_symlink(disk, file)
        else:
            _put_file(disk, file, by_link=by_link)
    _refuse_others((file, file["path"]) for file in content["files"])


def _sync(disk: Disk, changed: Iterable[str]) -> None:
    for folder in sorted({os.path.dirname(path) for path in changed}):
        if os.path.isdir(folder):
            disk.sync_folder(folder)


def _put_symlink(disk: Disk, file: KeptFile) -> None:
    path, part = file["path"], file["path"] + _PART
    if not (os.path.islink(path) and os.readlink(path) == file["target"]):
        disk.remove(part)
        disk.make_symlink(file["target"], part)
        disk.rename(part, path)


def _put_file(disk: Disk, file: KeptFile, *, by_link: bool) -> None:
    path, source, part = file["path"], file["source"], file["path"] + _PART
    if by_link and _is_same(source, path):  # renaming one name of a file over another one does nothing
        _set_metadata(disk, path, file)
        return
    disk.remove(part)
    if not (by_link and _has_linked(disk, source, part)):
        disk.copy(source, part)
    _set_metadata(disk, part, file)
    disk.rename(part, path)


def _has_linked(disk: Disk, source: str, path: str) -> bool:
    try:
        disk.link(source, path)
    except OSError:  # another file system, or not our file
        return False
    return True


def _set_metadata(disk: Disk, path: str, file: KeptFile) -> None:
    found = os.stat(path)
    if (stat.S_IMODE(found.st_mode), found.st_mtime_ns) != (file["mode"], file["mtime_ns"]):
        disk.set_metadata(path, file["mode"], file["mtime_ns"])


def _everything_at(paths: Iterable[str]) -> Iterator[str]:
    """Yield paths with what belongs to them: half-written forms, compiled forms, and all of a `.dist-info`."""
    for path in paths:
        yield path
        yield path + _PART
        yield from compiled_forms(path)
        if path.endswith(".dist-info/RECORD"):
            for folder, _, names in os.walk(os.path.dirname(path)):
                yield from (os.path.join(folder, name) for name in names)


def _take_out(disk: Disk, paths: Iterable[str]) -> None:
    for path in list(paths):
        is_file = os.path.islink(path) or os.path.isfile(path)
        if is_file and _is_direct(os.path.dirname(path)):
            disk.remove(path)


def _remove_empty(disk: Disk, folders: Iterable[str]) -> None:
    for folder in sorted(folders, reverse=True):  # what is inside first
        if os.path.isdir(folder) and _is_direct(folder) and not os.listdir(folder):
            disk.remove_folder(folder)


def _remove_tree(disk: Disk, path: str) -> None:
    for folder, folders, names in os.walk(path, topdown=False):
        for name in names:
            disk.remove(os.path.join(folder, name))
        for name in folders:
            inside = os.path.join(folder, name)
            (disk.remove if os.path.islink(inside) else disk.remove_folder)(inside)
    (disk.remove_folder if os.path.isdir(path) and not os.path.islink(path) else disk.remove)(path)


def _refuse_others(places: Iterable[tuple[KeptFile, str]]) -> None:
    wrong = [path for file, path in places if "target" not in file and not _holds(path, file)]
    if wrong:
        more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
        raise AgentError("install", f"{wrong[0]}{more} is not, byte for byte, what was kept")


def _holds(path: str, file: KeptFile) -> bool:
    try:
        return bool(os.path.getsize(path) == file["size"] and digest_of(path).hex() == file["sha256"])
    except OSError:
        return False


def _refuse_detours(content: Manifest) -> None:
    """Raise AgentError (install) when files would be put behind a link that is new: nothing there is ours."""
    for folder in sorted({*content["folders"], *(os.path.dirname(file["path"]) for file in content["files"])}):
        if not _is_direct(folder):
            message = f"{folder} leads to {os.path.realpath(folder)} now: nothing is put back there"
            raise AgentError("install", message, "remove that link, then run again")


def _is_direct(folder: str) -> bool:
    return os.path.realpath(folder) == folder


def _is_edited_in_place(file: KeptFile) -> bool:
    """Return whether somebody has written into a file since it was kept, and nothing replaced it: then it is theirs."""
    return "target" not in file and _is_same(file["source"], file["path"]) and not _holds(file["path"], file)


def _is_same(first: str, second: str) -> bool:
    try:
        return bool(os.path.samestat(os.lstat(first), os.lstat(second)))
    except (FileNotFoundError, NotADirectoryError):
        return False
