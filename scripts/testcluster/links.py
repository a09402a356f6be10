"""Makes the `ip` and `tc` batches that wire an isolated cluster, and runs them in a network namespace."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from ipaddress import ip_network

from testcluster.addresses import (
    CONTROLLER_ADDRESS,
    CONTROLLER_HARDWARE_ADDRESS,
    PREFIX_LENGTH,
    hardware_address,
    inside_address,
)
from testcluster.errors import ClusterError
from testcluster.requirements import require_tool

BRIDGE = "br0"
NETWORK = f"{ip_network(f'{CONTROLLER_ADDRESS}/{PREFIX_LENGTH}', strict=False)}"
CONTROLLER_PORT = "controller"
DEVICE = "eth0"
_RATE = re.compile(r"(\d+(?:\.\d+)?)(kbit|mbit|gbit)")
_BITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_LEAST_BURST_BYTES = 68_000
"""A whole packet before segmentation (GSO); with less the kernel cuts it up, which takes more CPU than hosts do."""
_NOBODY = "02:77:ff:ff:ff:fe"
_RULES_OF_REFUSAL = range(1, 7)
"""Preferences of the routing rules: those of `refusal_batch`, its last one is the kernel's own first."""


def parse_rate(text: str) -> float:
    """Return a rate in bits per second. Raises ClusterError for words that tc's rate does not mean here."""
    match = _RATE.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise ClusterError(f"not a rate: {text!r}", hint="for example 200mbit, 50mbit or 1gbit")
    return float(match[1]) * _BITS[match[2]]


def switch_port(index: int) -> str:
    """Return the name of the bridge's port that leads to a host."""
    return f"host{index}"


def switch_batch(controller_namespace: str) -> list[str]:
    """Return the `ip` lines that make the bridge and the controller's link."""
    return [
        f"link add {BRIDGE} type bridge",
        f"link set {BRIDGE} up",
        _make_link(CONTROLLER_PORT, CONTROLLER_HARDWARE_ADDRESS, controller_namespace),
        f"link set {CONTROLLER_PORT} master {BRIDGE} up",
    ]


def host_link_batch(index: int, pid: int) -> list[str]:
    """Return the `ip` lines that link a host, known by its first process, to the bridge."""
    port = switch_port(index)
    return [
        _make_link(port, hardware_address(index), str(pid)),
        f"link set {port} master {BRIDGE} up",
    ]


def _make_link(port: str, hardware: str, namespace: str) -> str:
    return f"link add {port} type veth peer name {DEVICE} address {hardware} netns {namespace}"


def device_batch(address: str, *, count: int) -> list[str]:
    """Return the `ip` lines that bring up one end, with the link addresses of all others known for good.

    Without ARP a host that is cut off is silent, as behind a router, instead of "no route to host".
    """
    controller = [] if address == CONTROLLER_ADDRESS else [_know(CONTROLLER_ADDRESS, CONTROLLER_HARDWARE_ADDRESS)]
    return [
        "link set lo up",
        f"link set {DEVICE} up",
        f"addr add {address}/{PREFIX_LENGTH} dev {DEVICE}",
        *controller,
        *neighbour_batch(address, count=count),
    ]


def neighbour_batch(address: str, *, count: int) -> list[str]:
    """Return the `ip` lines by which one end knows the link addresses of all hosts but itself."""
    hosts = ((inside_address(index), hardware_address(index)) for index in range(count))
    return [_know(other, hardware) for other, hardware in hosts if other != address]


def silence_batch(address: str, *, count: int) -> list[str]:
    """Return the `ip` lines after which what a host sends to others reaches nobody; `neighbour_batch` ends it."""
    hosts = (inside_address(index) for index in range(count))
    return [_know(other, _NOBODY) for other in hosts if other != address]


def _know(address: str, hardware: str) -> str:
    return f"neigh replace {address} lladdr {hardware} dev {DEVICE} nud permanent"


def refusal_batch(address: str) -> list[str]:
    """Return the `ip` lines after which new TCP connections between a host and the others are rejected.

    The controller's are not. Routing rules do it, so no packet filter has to be there.
    """
    *preferences, kernels = _RULES_OF_REFUSAL
    rules = (
        f"iif {DEVICE} from {CONTROLLER_ADDRESS} lookup local",
        f"iif {DEVICE} from {NETWORK} ipproto tcp prohibit",  # the other side hears "no route to host"
        f"iif lo to {CONTROLLER_ADDRESS} lookup main",
        f"iif lo to {address} lookup local",
        f"iif lo to {NETWORK} ipproto tcp unreachable",
    )
    return [
        *(f"rule add pref {preference} {rule}" for preference, rule in zip(preferences, rules, strict=True)),
        f"rule add pref {kernels} lookup local",
        "rule del pref 0",
    ]


def end_refusal_batch() -> list[str]:
    """Return the `ip` lines that undo `refusal_batch`."""
    return ["rule add pref 0 lookup local", *(f"rule del pref {preference}" for preference in _RULES_OF_REFUSAL)]


def shape_batch(device: str, rate: str | None) -> list[str]:
    """Return the `tc` lines that hold a device's sending to a rate: none without one."""
    if rate is None:
        return []
    burst_bytes = max(_LEAST_BURST_BYTES, int(parse_rate(rate) / 8 / 100))  # what 10 ms let through
    return [f"qdisc replace dev {device} root tbf rate {rate} burst {burst_bytes} latency 100ms"]


def reshape_batch(device: str, rate: str | None) -> list[str]:
    """Return the `tc` lines that give a device that is held to a rate another one, or its freedom."""
    return shape_batch(device, rate) or [f"qdisc del dev {device} root"]


def run_batch(program: str, lines: Sequence[str], *, namespace: str | None = None) -> None:
    """Run `ip` or `tc` on lines, in the network namespace that a path names or in the caller's.

    Raises ClusterError with the program's own words.
    """
    if not lines:
        return
    enter = [require_tool("nsenter"), f"--net={namespace}"] if namespace else []
    done = subprocess.run(
        [*enter, require_tool(program), "-batch", "-"],
        input="".join(f"{line}\n" for line in lines), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ClusterError(f"{program} failed: {' '.join(done.stdout.split())}")
