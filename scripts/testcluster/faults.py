"""Makes the faults that a host of the test cluster can suffer, and undoes them."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from testcluster import links
from testcluster.gateway import Door
from testcluster.launcher import LaunchedMachine


class Fault(enum.Enum):
    """What can befall a host."""

    REFUSE = "refuse"
    """New connections are refused; open ones go on."""
    DROP = "drop"
    """Nothing comes through any more and nobody says so: a black hole."""
    FREEZE = "freeze"
    """Every process on the host stands still; the kernel goes on acknowledging."""
    THAW = "thaw"
    """The end of FREEZE."""
    FILL = "fill"
    """The host's disk has no room left."""
    KILL = "kill"
    """The host loses its power."""
    RESTORE = "restore"
    """The end of all faults; a killed host comes back as if freshly installed."""


@dataclass(slots=True, kw_only=True)
class Sufferer:
    """One host with all that a fault can touch."""

    machine: LaunchedMachine
    door: Door | None
    link: str | None
    """The bridge's port that leads to the host."""
    switch: str | None
    """The path of the bridge's network namespace."""
    relaunch: Callable[[], Awaitable[LaunchedMachine]]
    faults: list[Fault] = field(default_factory=list)
    """Those in force, in the order in which they came."""

    async def suffer(self, fault: Fault) -> None:
        """Make a fault or end it. Raises ClusterError when this network cannot do it."""
        match fault:
            case Fault.DROP:
                await self._drop()
            case Fault.KILL:
                await self.machine.kill()
                if self.door is not None:
                    self.door.silence()
            case Fault.RESTORE:
                await self._restore()
            case Fault.REFUSE | Fault.FREEZE | Fault.THAW | Fault.FILL:
                await self.machine.ask(fault.value)
                if fault is Fault.REFUSE and self.door is not None:
                    self.door.close()
        self._remember(fault)

    def _remember(self, fault: Fault) -> None:
        match fault:
            case Fault.RESTORE:
                self.faults.clear()
            case Fault.THAW:
                self.faults = [other for other in self.faults if other is not Fault.FREEZE]
            case _ if fault not in self.faults:
                self.faults.append(fault)

    async def _drop(self) -> None:
        if self.door is None:
            await self.machine.ask("silence")
            return
        await self._set_link("down")
        self.door.silence()

    async def _restore(self) -> None:
        if Fault.KILL in self.faults:
            self.machine = await self.relaunch()
        else:
            await self.machine.ask("restore")
            await self._set_link("up")
        if self.door is not None:
            self.door.open()

    async def _set_link(self, state: str) -> None:
        if self.link is not None:
            batch = [f"link set {self.link} {state}"]
            await asyncio.to_thread(links.run_batch, "ip", batch, namespace=self.switch)
