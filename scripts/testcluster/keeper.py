"""The one process that keeps a cluster: it starts the hosts, carries connections to them and makes faults."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from testcluster import kernel, links
from testcluster.addresses import CONTROLLER_ADDRESS
from testcluster.control import SAVE, serve_control
from testcluster.design import find_common_rate
from testcluster.errors import ClusterError
from testcluster.faults import Sufferer, parse_order
from testcluster.gateway import Door, InsideDialer
from testcluster.launcher import launch
from testcluster.layout import load_cluster
from testcluster.processes import Process, end_descendants, identify
from testcluster.state import Cluster, Host, Running, make_running_text, write_atomically

_LAUNCHES_AT_ONCE = 8


class Keeper:
    """A living cluster."""

    def __init__(self, cluster: Cluster, program: Path) -> None:
        self._cluster = cluster
        self._program = program
        self._me = _identify_me()
        self._sufferers: dict[str, Sufferer] = {}
        self._switch: str | None = None
        self._controller: str | None = None
        self._dialer: InsideDialer | None = None

    async def start(self) -> None:
        """Bring up the network and all hosts. Raises ClusterError."""
        self._record()
        if self._cluster.is_isolated:
            self._make_network()
        turn = asyncio.Semaphore(_LAUNCHES_AT_ONCE)
        await _finish_all([self._start_host(host, turn) for host in self._cluster.hosts])
        self._record()

    def _make_network(self) -> None:
        switch, controller = kernel.make_network_namespace(), kernel.make_network_namespace()
        self._switch, self._controller = (f"/proc/{os.getpid()}/fd/{fd}" for fd in (switch, controller))
        rate, count = find_common_rate(self._cluster.options), len(self._cluster.hosts)
        links.run_batch("ip", links.switch_batch(self._controller), namespace=self._switch)
        links.run_batch("tc", links.shape_batch(links.CONTROLLER_PORT, rate), namespace=self._switch)
        ends = links.device_batch(CONTROLLER_ADDRESS, count=count)
        links.run_batch("ip", ends, namespace=self._controller)
        links.run_batch("tc", links.shape_batch(links.DEVICE, rate), namespace=self._controller)
        self._dialer = InsideDialer(controller)

    async def _start_host(self, host: Host, turn: asyncio.Semaphore) -> None:
        async with turn:
            machine = await launch(self._cluster, host, self._program, self._switch)
        door = self._make_door(host)
        self._sufferers[host.name] = Sufferer(
            machine=machine,
            door=door,
            link=links.switch_port(host.index) if self._switch else None,
            switch=self._switch,
            rate=host.rate,
            relaunch=lambda: launch(self._cluster, host, self._program, self._switch),
        )
        if door is not None:
            door.open()

    def _make_door(self, host: Host) -> Door | None:
        if self._dialer is None or host.inside_address is None:
            return None
        return Door((host.address, host.port), (host.inside_address, 22), self._dialer.dial)

    async def obey(self, host: str, word: str) -> None:
        """Let a host suffer a fault, or `save` what it holds before its end. Raises ClusterError."""
        sufferer = self._sufferers.get(host)
        if sufferer is None:
            raise ClusterError(f"no host {host}")
        try:
            if word == SAVE:
                await sufferer.machine.ask(SAVE)
            else:
                await sufferer.suffer(parse_order(word))
        finally:
            self._record()

    def _record(self) -> None:
        running = Running(
            keeper=self._me,
            controller_namespace=self._controller,
            hosts={name: sufferer.machine.init for name, sufferer in self._sufferers.items()},
            faults={
                name: tuple(map(str, sufferer.faults)) for name, sufferer in self._sufferers.items() if sufferer.faults
            },
        )
        write_atomically(self._cluster.folder / "running.json", make_running_text(running))

    async def end(self) -> None:
        """End all hosts."""
        if self._dialer is not None:
            self._dialer.end()
        await asyncio.gather(*(sufferer.machine.end() for sufferer in self._sufferers.values()))


async def _finish_all(starts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all, to the end, and raise the first error only then: no start is left half done."""
    results = await asyncio.gather(*starts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _identify_me() -> Process:
    me = identify(os.getpid())
    if me is None:
        raise ClusterError("/proc does not show this process")
    return me


async def _keep(cluster: Cluster, program: Path) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    keeper = Keeper(cluster, program)
    await keeper.start()
    async with serve_control(cluster.folder, keeper.obey):
        _tell_parent("ready")
        await ended.wait()
    await keeper.end()


def run(folder: Path, program: Path) -> int:
    """Keep the cluster of a folder until SIGTERM. The first line on stdout is `ready` or `error WHY`."""
    cluster = load_cluster(folder)
    if cluster is None:
        return 2
    kernel.adopt_orphans()
    try:
        asyncio.run(_keep(cluster, program))
    except (ClusterError, OSError) as error:
        _tell_parent(f"error {' '.join(str(error).split())}")
        return 1
    finally:
        end_descendants()
    return 0


def _tell_parent(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # the parent waits for the end of the file
    os.close(nowhere)
