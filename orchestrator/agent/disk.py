"""Everything that keeping, undoing and committing do to the disk, in steps that happen wholly or not at all.

A test that lets one of them fail has seen every state that a crash can leave.
"""

from __future__ import annotations

import contextlib
import os
import shutil


class Disk:
    """Changes files by absolute path, one small step each. Raises OSError."""

    def make_folder(self, path: str) -> None:
        """Make a private folder; its parent is there."""
        os.mkdir(path, 0o700)

    def set_mode(self, path: str, mode: int) -> None:
        """Set a folder's mode."""
        os.chmod(path, mode)

    def write(self, path: str, content: bytes) -> None:
        """Write a private file, on disk when this returns."""
        created = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(created, "wb") as stream:
            stream.write(content)
            stream.flush()
            self._sync(stream.fileno())

    def copy(self, source: str, path: str) -> None:
        """Copy a file's bytes to a private file, on disk when this returns."""
        created = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(created, "wb") as part, open(source, "rb") as whole:
            shutil.copyfileobj(whole, part, 1 << 20)
            part.flush()
            self._sync(part.fileno())

    def link(self, source: str, path: str) -> None:
        """Give a file a second name: its bytes are on disk already."""
        os.link(source, path)

    def make_symlink(self, target: str, path: str) -> None:
        """Make a symbolic link."""
        os.symlink(target, path)

    def set_metadata(self, path: str, mode: int, mtime_ns: int) -> None:
        """Set a file's mode and when it was written."""
        os.chmod(path, mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))

    def rename(self, source: str, path: str) -> None:
        """Rename a file over another one."""
        os.replace(source, path)

    def remove(self, path: str) -> None:
        """Remove a file or a link; one that is gone already is no failure."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        os.rmdir(path)

    def sync_folder(self, path: str) -> None:
        """Have a folder's names on disk when this returns."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def _sync(self, descriptor: int) -> None:
        os.fsync(descriptor)
