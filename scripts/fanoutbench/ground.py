"""What a peer is given: the hosts, how they are reached, the file, and where it goes."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from testcluster.state import Cluster

TARGET = "/var/tmp/fan-out"  # noqa: S108 - on hosts of the bench's own, which end with it
"""Where peers put the file on every host."""
OUR_PATH = "wheels/fan-out/file"
OUR_TARGET = f"~/.cache/dsdeploy/{OUR_PATH}"
"""Where ours puts it: in the agent's cache."""
_GATEWAY_COPIES = 1 + 4 / 3
"""What clush sends a gateway: its own copy, and one in base64 for those behind it."""
REPORT = "fan-out report: "
"""How the line begins in which ours says what it took; JSON follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The file."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One cluster and the file; `folder` holds what peers read about them."""

    cluster: Cluster
    payload: Payload
    folder: Path
    tools: Path
    """The virtual environment of the peers that pip installed."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names."""
        return tuple(host.name for host in self.cluster.hosts)

    @property
    def ssh_config(self) -> Path:
        """By which hosts are reached from the controller's network, and from each other's."""
        return self.cluster.folder / "ssh_config.inside"

    @property
    def host_list(self) -> Path:
        """A host's name on each line."""
        return self.folder / "hosts"

    @property
    def inventory(self) -> Path:
        """Ansible's."""
        return self.folder / "inventory"

    @property
    def routes(self) -> Path:
        """ClusterShell's topology.conf: some hosts are gateways to the others."""
        return self.folder / "topology.conf"

    @property
    def settings(self) -> Path:
        """What the Python programs here read: see `write`."""
        return self.folder / "settings.json"

    def write(self) -> None:
        """Write these files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_list.write_text("".join(f"{host}\n" for host in self.hosts), encoding="utf-8")
        lines = [f"{host} ansible_python_interpreter=/usr/bin/python3\n" for host in self.hosts]
        self.inventory.write_text("".join(lines), encoding="utf-8")
        gateways = round((len(self.hosts) / _GATEWAY_COPIES) ** 0.5)  # the sum of both steps is least
        routes = {_short_name(): self.hosts[:gateways], ",".join(self.hosts[:gateways]): self.hosts[gateways:]}
        text = "".join(f"{source}: {','.join(targets)}\n" for source, targets in routes.items() if targets)
        self.routes.write_text(f"[routes]\n{text}", encoding="utf-8")
        settings = {
            "hosts": self.hosts,
            "addresses": [host.inside_address for host in self.cluster.hosts],
            "user": self.cluster.user,
            "identity": str(self.cluster.folder / "identity"),
            "ssh_config": str(self.ssh_config),
            "source": str(self.payload.path),
            "sha256": self.payload.sha256,
            "size_bytes": self.payload.size_bytes,
            "target": TARGET,
            "our_target": f"cache:{OUR_PATH}",
        }
        self.settings.write_text(json.dumps(settings), encoding="utf-8")


def _short_name() -> str:
    """Return what ClusterShell takes the controller for."""
    return socket.gethostname().partition(".")[0]
