"""Gives the calling process a file system of its own: the machine's, with writes kept apart and limited."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from testcluster import kernel

DISK = Path("/run/disk")
"""Where a host sees the disk that takes its writes."""
_TAR_OPTIONS = ("--xattrs", "--xattrs-include=*", "--numeric-owner", "--preserve-permissions")  # overlayfs's marks too
_MADE_ANEW = ("/proc", "/sys", "/dev", "/run")


def enter_private_root(
    scratch: Path, *, disk_mb: int, own_folder: Path, shared: Path | None = None, kept: Path | None = None
) -> None:
    """Move into an overlay of `/` whose upper half is a tmpfs of `disk_mb` MiB, mounted at `scratch`.

    The caller must be in a mount namespace of its own. `own_folder` is kept apart as well where it
    lies on another file system than `/`; other mounted file systems are the machine's own, and
    so is the folder `shared`. `kept`: what `save_disk` wrote when the host was up before; it is used up.
    """
    kernel.mount("tmpfs", scratch, "tmpfs", options=f"size={disk_mb}m,mode=0755")
    os.chdir(scratch)  # relative names: an option's text knows no escape for commas and colons
    for name in ("upper", "work", "root", "upper2", "work2"):
        Path(name).mkdir()
    if kept is not None and kept.exists():
        subprocess.run(["tar", "-x", *_TAR_OPTIONS, "-f", str(kept)], check=True, stderr=subprocess.DEVNULL)
        kept.unlink()
    root = scratch / "root"
    kernel.mount("overlay", root, "overlay", options="lowerdir=/,upperdir=upper,workdir=work")
    _bind_other_file_systems(root, scratch)
    if own_folder.stat().st_dev != Path("/").stat().st_dev:
        _overlay_own_folder(root, own_folder)
    if shared is not None:
        kernel.mount(str(shared), root / shared.relative_to("/"), "", flags=kernel.MS_BIND)
    _mount_system_folders(root, scratch)
    kernel.change_root(root)


def _bind_other_file_systems(root: Path, scratch: Path) -> None:
    for point in find_mount_points(Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        if point in (Path("/"), scratch) or scratch in point.parents or not point.is_dir():
            continue
        with suppress(OSError):  # what cannot be bound is not seen by the host
            kernel.mount(str(point), root / point.relative_to("/"), "", flags=kernel.MS_BIND)


def find_mount_points(mountinfo: str) -> list[Path]:
    """Return the mount points of a `/proc/PID/mountinfo` text that a host should see, parents first."""
    points = []
    for line in mountinfo.splitlines():
        fields = line.split()
        point = fields[4].encode().decode("unicode_escape")  # octal escapes of blanks, proc(5)
        kind = fields[fields.index("-") + 1]
        if kind != "autofs" and not any(point == top or point.startswith(f"{top}/") for top in _MADE_ANEW):
            points.append(Path(point))
    return points


def _overlay_own_folder(root: Path, folder: Path) -> None:
    target = root / folder.relative_to("/")
    # The lower folder is named through the working directory: see above.
    options = "lowerdir=lower2,upperdir=upper2,workdir=work2"
    Path("lower2").mkdir()
    kernel.mount(str(folder), Path("lower2"), "", flags=kernel.MS_BIND)
    kernel.mount("overlay", target, "overlay", options=options)


def _mount_system_folders(root: Path, scratch: Path) -> None:
    kernel.mount("proc", root / "proc", "proc")
    try:
        kernel.mount("sysfs", root / "sys", "sysfs")
    except OSError:
        kernel.mount("/sys", root / "sys", "", flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("/dev", root / "dev", "", flags=kernel.MS_BIND)
    kernel.mount("devpts", root / "dev/pts", "devpts", options="newinstance,ptmxmode=0666,mode=0620")
    kernel.mount("tmpfs", root / "dev/shm", "tmpfs", options="mode=1777,size=1g")
    kernel.mount("tmpfs", root / "run", "tmpfs", options="mode=0755,size=64m")
    (root / "run/sshd").mkdir(mode=0o755)  # sshd's privilege separation wants it
    (root / "run/disk").mkdir()
    kernel.mount(str(scratch), root / "run/disk", "", flags=kernel.MS_BIND)


def save_disk(folder: int, name: str) -> None:
    """Write what the disk holds to a file in the machine's own file system, whole or not at all.

    `folder` is a descriptor from before `enter_private_root`: that folder is out of sight now.
    """
    draft_name = f".{name}"
    draft = os.open(draft_name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        command = ["tar", "-c", *_TAR_OPTIONS, "-C", str(DISK), "upper", "upper2"]
        subprocess.run(command, check=True, stdout=draft, stderr=subprocess.DEVNULL)
    finally:
        os.close(draft)
    os.replace(draft_name, name, src_dir_fd=folder, dst_dir_fd=folder)


def fill_disk(left_mb: int) -> None:
    """Leave so many MiB of a host's disk free, without using memory for a ballast: the disk shrinks."""
    room = os.statvfs(DISK)
    used_bytes = (room.f_blocks - room.f_bfree) * room.f_frsize
    _resize_disk(f"{used_bytes + (left_mb << 20)}")


def empty_disk(disk_mb: int) -> None:
    """Give the disk its size back."""
    _resize_disk(f"{disk_mb}m")


def _resize_disk(size: str) -> None:
    kernel.mount("tmpfs", DISK, "tmpfs", flags=kernel.MS_REMOUNT, options=f"size={size}")
