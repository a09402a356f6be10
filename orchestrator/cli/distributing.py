"""What the options say about the fan-out; what they do not, the hosts' names and this machine's files may."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.cli.options import Distribution
from orchestrator.config.topology import load_racks
from orchestrator.errors import UsageError
from orchestrator.model.fanout import FanOutSettings, Shape
from orchestrator.planning.racks import racks_in_names

CLUSTERSHELL_TOPOLOGY = Path("/etc/clustershell/topology.conf")
"""The system-wide one of clush(1)."""

_PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_HIGHEST_PORT = 65535


def make_fan_out_settings(
    distribution: Distribution,
    hosts: Sequence[str],
    *,
    on_note: Callable[[str], None],
    own_topology: Path = CLUSTERSHELL_TOPOLOGY,
) -> FanOutSettings:
    """Return what the user wants of the fan-out.

    Raises UsageError for a value that means nothing, ConfigError for faults of the topology file that was named. This
    machine's own, which nobody named, ends no run: what is wrong with it is a note, and host names tell the racks.
    """
    ports = distribution.relay_ports
    return FanOutSettings(
        shape=_parse_shape(distribution.fan_out),
        relay_ports=None if ports is None else _parse_ports(ports),
        racks=load_racks(distribution.topology) if distribution.topology else _find_racks(hosts, own_topology, on_note),
    )


def _parse_shape(word: str) -> Shape:
    try:
        return Shape(word)
    except ValueError:
        known = ", ".join(shape.value for shape in Shape)
        raise UsageError(f"--fan-out {word}: no such shape", hint=f"there are: {known}") from None


def _parse_ports(text: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= first <= last <= _HIGHEST_PORT:
        raise UsageError(
            f"--relay-ports {text}: no range of ports from 1 to {_HIGHEST_PORT}",
            hint="name the first and the last, both included: --relay-ports 20000-20100",
        )
    return first, last


def _find_racks(hosts: Sequence[str], topology: Path, on_note: Callable[[str], None]) -> Mapping[str, str]:
    racks: Mapping[str, str] = {}
    try:
        if topology.exists():
            racks = load_racks(topology)
    except (UsageError, OSError) as error:
        on_note(f"the topology is not used: {str(error).splitlines()[0]}")
    return racks if any(host in racks for host in hosts) else racks_in_names(hosts)
