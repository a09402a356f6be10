"""One host's end of its link: wired when the host starts, slowed, or closed to the other hosts, and made well again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.links import (
    DEVICE,
    device_batch,
    end_refusal_batch,
    neighbour_batch,
    refusal_batch,
    reshape_batch,
    run_batch,
    shape_batch,
    silence_batch,
)
from testcluster.state import Cluster, Host

_FORWARDING = Path(f"/proc/sys/net/ipv4/conf/{DEVICE}/forwarding")


class HostLink:
    """The device of one isolated host; its methods run in that host's network namespace."""

    def __init__(self, cluster: Cluster, host: Host) -> None:
        if host.inside_address is None:
            raise ClusterError(f"{host.name} has no address inside the network")
        self._address = host.inside_address
        self._count = len(cluster.hosts)
        self._rate = host.rate
        self._cures: dict[str, Sequence[str]] = {}
        """Fault → the lines that end it: of `tc` for `slow`, of `ip` for the others."""

    def wire(self) -> None:
        """Give the device its address, its neighbours and its rate."""
        run_batch("ip", device_batch(self._address, count=self._count))
        run_batch("tc", shape_batch(DEVICE, self._rate))

    def suffer(self, word: str, amount: str) -> None:
        """Do what the keeper says of the link. Raises ClusterError."""
        match word:
            case "slow":
                self._slow(amount)
            case "lonely":
                self._refuse_others()
            case "mute":
                self._ignore_others()
            case _:
                raise ClusterError(f"unknown word {word!r}")

    def _slow(self, rate: str) -> None:
        """Send at another rate than the link's own."""
        run_batch("tc", shape_batch(DEVICE, rate))
        self._cures["slow"] = reshape_batch(DEVICE, self._rate)

    def _refuse_others(self) -> None:
        """Fail every new connection between this host and another at once, as a firewall does that rejects."""
        if "lonely" not in self._cures:
            _FORWARDING.write_text("1")  # only then does the kernel tell the other side of a rejection (ICMP)
            run_batch("ip", refusal_batch(self._address))
            self._cures["lonely"] = end_refusal_batch()

    def _ignore_others(self) -> None:
        """Let everything that this host sends to another be lost, answers included."""
        run_batch("ip", silence_batch(self._address, count=self._count))
        self._cures["mute"] = neighbour_batch(self._address, count=self._count)

    def restore(self) -> None:
        """Undo all of it."""
        for fault, cure in self._cures.items():
            run_batch("tc" if fault == "slow" else "ip", cure)
        self._cures.clear()
