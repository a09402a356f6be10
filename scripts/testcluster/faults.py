"""Makes the faults that a host of the test cluster can suffer, and undoes them."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from testcluster import links
from testcluster.errors import ClusterError
from testcluster.gateway import Door
from testcluster.launcher import LaunchedMachine

_SLOW_RATE = "10mbit"


class Fault(enum.Enum):
    """What can befall a host."""

    REFUSE = "refuse"
    """New connections are refused; open ones go on."""
    DROP = "drop"
    """Nothing comes through any more and nobody says so: a black hole. An isolated host's link is cut at the switch."""
    SLOW = "slow"
    """The host's link has a lower rate, both ways."""
    LONELY = "lonely"
    """New connections between this host and the others fail at once, as at a firewall; the controller's do not."""
    MUTE = "mute"
    """Nothing comes through between this host and the others, and nobody says so; the controller is heard."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A fault, and how much of it."""

    fault: Fault
    amount: str = ""
    """SLOW: the rate; FILL: how many MiB are left."""

    def __str__(self) -> str:
        return f"{self.fault.value}:{self.amount}" if self.amount else self.fault.value


def parse_order(text: str) -> Order:
    """Read `drop`, `slow:5mbit` or `fill:8`. Raises ClusterError."""
    name, colon, amount = text.partition(":")
    match name:
        case "slow":
            links.parse_rate(amount if colon else _SLOW_RATE)
            return Order(fault=Fault.SLOW, amount=amount or _SLOW_RATE)
        case "fill" if not colon or amount.isdecimal():
            return Order(fault=Fault.FILL, amount=amount)
        case _ if not colon and name in {fault.value for fault in Fault}:
            return Order(fault=Fault(name))
        case _:
            known = ", ".join(fault.value for fault in Fault)
            raise ClusterError(f"not a fault: {text!r}", hint=f"there are {known}; slow:5mbit, fill:8 (MiB left)")


@dataclass(slots=True, kw_only=True)
class Sufferer:
    """One host with all that a fault can touch."""

    machine: LaunchedMachine
    door: Door | None
    link: str | None
    """The bridge's port that leads to the host."""
    switch: str | None
    """The path of the bridge's network namespace."""
    rate: str | None
    """The rate of the link when the host is well; None for no limit."""
    relaunch: Callable[[], Awaitable[LaunchedMachine]]
    faults: list[Order] = field(default_factory=list)
    """Those in force, in the order in which they came."""

    async def suffer(self, order: Order) -> None:
        """Make a fault or end it. Raises ClusterError when this network cannot do it."""
        match order.fault:
            case Fault.DROP:
                await self._drop()
            case Fault.KILL:
                await self.machine.kill()
                if self.door is not None:
                    self.door.silence()
            case Fault.RESTORE:
                await self._restore()
            case _:
                await self.machine.ask(str(order))
                if order.fault is Fault.REFUSE and self.door is not None:
                    self.door.close()
                if order.fault is Fault.SLOW and self.link is not None:
                    await self._run("tc", links.shape_batch(self.link, order.amount))
        self._remember(order)

    def _remember(self, order: Order) -> None:
        match order.fault:
            case Fault.RESTORE:
                self.faults.clear()
            case Fault.THAW:
                self.faults = [other for other in self.faults if other.fault is not Fault.FREEZE]
            case fault:
                self.faults = [*(other for other in self.faults if other.fault is not fault), order]

    def _suffers(self, fault: Fault) -> bool:
        return any(order.fault is fault for order in self.faults)

    async def _drop(self) -> None:
        if self.door is None:
            await self.machine.ask("silence")
            return
        await self._set_link("down")
        self.door.silence()

    async def _restore(self) -> None:
        if self._suffers(Fault.KILL):
            self.machine = await self.relaunch()
        else:
            await self._set_link("up")
            if self.link is not None and self._suffers(Fault.SLOW):
                await self._run("tc", links.reshape_batch(self.link, self.rate))
            await self.machine.ask("restore")
        if self.door is not None:
            self.door.open()

    async def _set_link(self, state: str) -> None:
        if self.link is not None:
            await self._run("ip", [f"link set {self.link} {state}"])

    async def _run(self, program: str, batch: list[str]) -> None:
        await asyncio.to_thread(links.run_batch, program, batch, namespace=self.switch)
