"""The line between the command and the keeper of a cluster: a socket in the cluster's private folder."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from testcluster.errors import ClusterError

_NAME = "control"
_TIMEOUT_S = 90.0

SAVE = "save"
"""The word that keeps what a host holds, before the cluster goes down."""
Obey = Callable[[str, str], Awaitable[None]]


def _short_path(descriptor: int) -> str:
    """Return a path to the socket that fits into the 108 bytes of an address, however deep the folder lies."""
    return f"/proc/self/fd/{descriptor}/{_NAME}"


@asynccontextmanager
async def serve_control(folder: Path, obey: Obey) -> AsyncIterator[None]:
    """Answer requests `{"host": …, "word": …}` with `{"error": null}` or the reason."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            await obey(request["host"], request["word"])
            reply: dict[str, str | None] = {"error": None}
        except (ClusterError, ValueError, KeyError, OSError) as error:
            reply = {"error": str(error)}
        writer.write(json.dumps(reply).encode() + b"\n")
        writer.close()

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        server = await asyncio.start_unix_server(answer, _short_path(descriptor))
        async with server:
            yield
    finally:
        os.close(descriptor)


def tell_keeper(folder: Path, host: str, word: str) -> None:
    """Say a fault's name, or `SAVE`, about a host and wait until it is done.

    Raises ClusterError with the keeper's reason, or when none listens.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_TIMEOUT_S)
            line.connect(_short_path(descriptor))
            line.sendall(json.dumps({"host": host, "word": word}).encode() + b"\n")
            reply = json.loads(line.makefile().readline())
    except (OSError, ValueError) as error:
        raise ClusterError(f"the cluster does not answer: {error}", hint="is it up? scripts/cluster list") from error
    finally:
        os.close(descriptor)
    if reply["error"] is not None:
        raise ClusterError(reply["error"])
