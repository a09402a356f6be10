"""Tells by one word whether hosts see the same folder."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cache import Cache

_NETWORK = re.compile(r"nfs4?|lustre|gpfs|beegfs|ceph|9p|fuse\..+|cifs|smb3")
_OWN_NAMES = ("gpfs", "beegfs")
"""Their sources are names within one cluster, so that the folder's inode, which all its hosts see alike, must agree."""
_NAMES_A_SERVER = re.compile(r"//|.*[:@]")
_OCTAL = re.compile(r"\\([0-7]{3})")


def folder_id(folder: str, cache: Cache) -> str | None:
    """Return a word that is equal on two hosts when they share this folder; None when that cannot be told.

    On the cache's own device it is the cache's word with the folder's inode; on another network file system, where the
    folder comes from.
    """
    try:
        folder = os.path.realpath(folder)
        found = os.stat(folder)
        shares_device = found.st_dev == os.stat(cache.folder).st_dev
        word = cache.filesystem_id() if shares_device else None
        if word is not None:
            return f"{word}/{found.st_ino}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            return network_id(folder, found.st_ino, stream.read())
    except OSError:
        return None


def network_id(folder: str, inode: int, mountinfo: str) -> str | None:
    """Return where a folder on a network file system comes from: `server:/export/ml/venv`; None for all others.

    `mountinfo` is the text of /proc/self/mountinfo (proc(5)). A source that names nobody, as that of some FUSE mounts,
    may be another one on each host, and proves nothing.
    """
    mount = _network_mount(folder, mountinfo)
    if mount is None:
        return None
    root, point, kind, source = mount
    inside = os.path.normpath("/".join((root, os.path.relpath(folder, point)))).strip("/")
    place = f"{source.rstrip('/')}/{inside}"
    if kind in _OWN_NAMES:
        return f"{kind}:{place}#{inode}"
    return place if _NAMES_A_SERVER.match(source) else None


def is_on_network(folder: str, mountinfo: str) -> bool:
    """Return whether a folder, which need not be there, is on a file system that is known to be a network's."""
    mount = _network_mount(folder, mountinfo)
    return mount is not None and (mount[2] in _OWN_NAMES or _NAMES_A_SERVER.match(mount[3]) is not None)


def _network_mount(folder: str, mountinfo: str) -> tuple[str, str, str, str] | None:
    """Return what a folder is in: root, mount point, file system type and source; None when that is on a local disk."""
    mounts = [_mount(line) for line in mountinfo.splitlines() if " - " in line]
    around = [mount for mount in mounts if _is_inside(folder, mount[1])]
    if not around:
        return None
    nearest = max(reversed(around), key=lambda mount: len(mount[1]))  # the last one hides the others
    return nearest if _NETWORK.fullmatch(nearest[2]) else None


def _mount(line: str) -> tuple[str, str, str, str]:
    """Return root, mount point, file system type and source of one line."""
    before, _, after = line.partition(" - ")
    _, _, _, root, point = (_unescaped(word) for word in before.split()[:5])
    kind, source = (_unescaped(word) for word in after.split()[:2])
    return root, point, kind, source


def _unescaped(word: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found.group(1), 8)), word)


def _is_inside(folder: str, point: str) -> bool:
    return folder == point or folder.startswith(point.rstrip("/") + "/")
