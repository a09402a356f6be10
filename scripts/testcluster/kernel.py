"""The kernel's calls that Python's standard library lacks: namespaces, mounts, a filter on a socket."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
MS_REMOUNT, MS_BIND, MS_REC = 0x20, 0x1000, 0x4000
_MNT_DETACH = 2
_PR_SET_CHILD_SUBREAPER = 36
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_BPF_RETURN_CONSTANT = 0x06

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, doing: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")


def mount(source: str, target: Path, kind: str, *, flags: int = 0, options: str = "") -> None:
    """Mount, bind or remount; the flags are the kernel's."""
    result = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(result, f"mount {kind or source} at {target}")


def change_root(root: Path) -> None:
    """Make a mounted folder the root of this mount namespace and let go of the old one (pivot_root(2))."""
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), f"pivot_root to {root}")
    _check(_libc.umount2(b".", _MNT_DETACH), "unmount the old root")
    os.chdir("/")


def make_network_namespace() -> int:
    """Make an empty network namespace and return a file descriptor that keeps it; the caller stays outside."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(CLONE_NEWNET), "unshare the network")
        try:
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            enter_network_namespace(own)
    finally:
        os.close(own)


def enter_network_namespace(descriptor: int) -> None:
    """Move the calling thread into a network namespace: sockets that it makes later belong there."""
    _check(_libc.setns(descriptor, CLONE_NEWNET), "enter the network namespace")


def adopt_orphans() -> None:
    """Become the parent of every process below that loses its own (PR_SET_CHILD_SUBREAPER)."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become a subreaper")


def make_deaf(listener: socket.socket) -> None:
    """Drop every packet that reaches a TCP socket, as a black hole in the network would.

    On a listening socket new connections are neither taken nor refused; on a connected one nothing
    is acknowledged, keepalive probes included. Needs root on some kernels.
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN_CONSTANT, 0, 0, 0))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def make_hearing(listener: socket.socket) -> None:
    """Undo `make_deaf`."""
    with suppress(FileNotFoundError):  # it has no filter
        listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
