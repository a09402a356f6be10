"""Trials of the ops that move bytes: to files, to locked memory, between tensors."""

from __future__ import annotations

import os

from .op_bench import NotRunError, WrongNumbersError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .op_bench import Bench

_FILE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 18
_QUEUE_DEPTH = 8
_ONE_BY_ONE, _OVERLAPPING = False, True
_LOCKED_NUMBERS = 512
"""Half a page: less than any limit on locked memory."""


def try_async_io(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Write a file past the page cache, and read it back."""
    torch = bench.torch
    path = os.path.join(bench.folder, "async_io.bytes")
    _refuse_cached_files(path)
    start = torch.arange(_FILE_BYTES).remainder(251).to(torch.uint8)
    handle = op.aio_handle(_BLOCK_BYTES, _QUEUE_DEPTH, _ONE_BY_ONE, _OVERLAPPING, 1)
    handle.sync_pwrite(start, path)
    with open(path, "rb") as stream:
        if stream.read() != bytes(start.tolist()):
            raise WrongNumbersError("the file does not hold what was written")
    found = torch.zeros_like(start)
    handle.sync_pread(found, path)
    bench.compare("a file's bytes", found, start)
    return "wrote and read 1 MiB with O_DIRECT"


def _refuse_cached_files(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600))
    except OSError as error:
        folder = os.path.dirname(path)
        raise NotRunError(f"the file system of {folder} has no O_DIRECT ({error.strerror})") from error


def try_pin_memory(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Lock memory, write to it, and give it back."""
    start = bench.ramp(_LOCKED_NUMBERS)
    handle = op.pin_handle()
    locked = handle.new_cpu_locked_tensor(_LOCKED_NUMBERS, start.float())
    if not handle.is_pinned(locked):
        raise WrongNumbersError("the memory that it gave is not locked")
    locked.copy_(start)
    said = bench.compare("locked memory", locked, start)
    if not handle.free_cpu_locked_tensor(locked):
        raise WrongNumbersError("it does not know the memory that it gave")
    return said


def try_utils(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Join tensors and part them again; newer versions see them as bytes instead."""
    torch = bench.torch
    parts = [bench.ramp(7).float(), bench.ramp(5, alternating=True).float()]
    if hasattr(op, "cast_to_byte_tensor"):
        return bench.compare("a tensor's bytes", op.cast_to_byte_tensor(parts[0]), parts[0].view(torch.uint8))
    joined = op.flatten(parts)
    bench.compare("joined tensors", joined, torch.cat(parts))
    return bench.compare("parted tensors", torch.cat(op.unflatten(joined, parts)), torch.cat(parts))
