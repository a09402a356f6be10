"""Starts the first process of a host and speaks with it."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

from testcluster import links
from testcluster.errors import ClusterError
from testcluster.processes import Process, find_descendants, identify, send_signal
from testcluster.requirements import require_tool
from testcluster.state import Cluster, Host

_ENTER_NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
_ANSWER_TIMEOUT_S = 60.0


class LaunchedMachine:
    """A host that was started: ask it, or take its power away."""

    def __init__(self, child: asyncio.subprocess.Process, init: Process) -> None:
        self._child = child
        self._talking = asyncio.Lock()
        self.init = init

    async def ask(self, word: str) -> None:
        """Say a word and wait until it is done. Raises ClusterError with the host's reason."""
        async with self._talking:
            if self._child.stdin is None:
                raise ClusterError("the host has no ear")
            with suppress(ConnectionError):  # then its answer is the end of the file
                self._child.stdin.write(f"{word}\n".encode())
                await self._child.stdin.drain()
            await self.hear()

    async def hear(self) -> None:
        """Wait for `ok`. Raises ClusterError for anything else."""
        if self._child.stdout is None:
            raise ClusterError("the host has no mouth")
        try:
            line = await asyncio.wait_for(self._child.stdout.readline(), _ANSWER_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise ClusterError("the host does not answer") from error
        answer = line.decode(errors="replace").strip()
        if answer != "ok":
            raise ClusterError(answer.removeprefix("error ") or "the host is dead")

    async def kill(self) -> None:
        """End the host and everything on it at once."""
        send_signal([*find_descendants(self.init.pid), self.init], signal.SIGKILL)
        await self._child.wait()

    async def end(self) -> None:
        """Let the host end by itself."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        await self._child.wait()


def make_machine_command(cluster: Cluster, host: Host, program: Path) -> list[str]:
    """Return the argv of a host's first process."""
    command = [sys.executable, "-I", "-S", str(program), "_host", cluster.state, host.name]
    return [require_tool("unshare"), *_ENTER_NAMESPACES, *command] if cluster.is_isolated else command


async def launch(cluster: Cluster, host: Host, program: Path, switch: str | None) -> LaunchedMachine:
    """Start a host and return it when its sshd listens; `switch` names the bridge's network namespace."""
    child = await asyncio.create_subprocess_exec(
        *make_machine_command(cluster, host, program),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    unborn = LaunchedMachine(child, Process(pid=child.pid, start_ticks=0))
    try:
        await unborn.hear()
        machine = LaunchedMachine(child, _find_init(child.pid, below=cluster.is_isolated))
        if switch is not None:
            await asyncio.to_thread(_wire, host, machine.init.pid, switch)
        await machine.ask("start")
    except ClusterError as error:
        raise ClusterError(f"{host.name} did not start: {error}", hint=error.hint) from error
    return machine


def _find_init(pid: int, *, below: bool) -> Process:
    """Return the host's first process: the started one, or the one that `unshare` made."""
    found = next(iter(find_descendants(pid)), None) if below else identify(pid)
    if found is None:
        raise ClusterError("its first process is gone")
    return found


def _wire(host: Host, pid: int, switch: str) -> None:
    port = links.switch_port(host.index)
    with suppress(ClusterError):  # what is left of the link of a host that was killed
        links.run_batch("ip", [f"link del {port}"], namespace=switch)
    links.run_batch("ip", links.host_link_batch(host.index, pid), namespace=switch)
    links.run_batch("tc", links.shape_batch(port, host.rate), namespace=switch)
