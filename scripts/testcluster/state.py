"""What is known about one cluster, and its form as JSON."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from testcluster.errors import ClusterError
from testcluster.processes import Process

SCHEMA = "dsdeploy.cluster/1"


class Network(enum.Enum):
    """How the hosts of a cluster are kept apart."""

    NAMESPACES = "namespaces"
    LOOPBACK = "loopback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `up` was asked for; equal options mean that a living cluster can be used again."""

    count: int
    network: str
    """auto, namespaces or loopback."""
    rates: tuple[str, ...] = ()
    """Rates of the links in tc's words, each as `200mbit` (the controller's too) or `10mbit:0-1,3`."""
    gpus: tuple[str, ...]
    """Captures to play, each as `h100x8` or `h100x8:0-1,3`."""
    cpus: tuple[str, ...] = ()
    """CPUs to play, each as `avx2` or `avx2:0-1,3`."""
    homes: tuple[str, ...] = ()
    """Home folders that several hosts share, each as `nfs` or `nfs:0-1,3`."""
    python: str
    """The interpreter from which the hosts' virtual environments are made."""
    torch: str | None
    """What pip installs as torch; None for hosts without it."""
    disk_mb: int
    """How much each host may write, in MiB (namespaces only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of the cluster, as the controller sees it."""

    name: str
    index: int
    address: str
    port: int
    inside_address: str | None
    """Address in the namespaces' network, port 22; None in a loopback cluster."""
    folder: str
    python: str
    home: str
    log: str
    slots: int
    gpu: str | None
    cpu: str | None = None
    has_pip: bool
    rate: str | None = None
    """Rate of its link; None for no limit."""
    shares_home: bool = False
    """Whether its home folder is other hosts' too, as on a network file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster: what was asked for and where everything is. It does not change while it lives."""

    name: str
    network: Network
    reason: str
    """Why this network."""
    state: str
    user: str
    options: Options
    hosts: tuple[Host, ...]

    @property
    def folder(self) -> Path:
        """The private folder of the cluster."""
        return Path(self.state)

    @property
    def is_isolated(self) -> bool:
        """Whether every host has a network and a file system of its own."""
        return self.network is Network.NAMESPACES

    def find_host(self, name: str) -> Host:
        """Return the host of that name. Raises ClusterError with the names that there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise ClusterError(
            f"the cluster {self.name} has no host {name}",
            hint=f"it has {self.hosts[0].name} to {self.hosts[-1].name}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What changes while a cluster lives: its processes and the faults that are in force."""

    keeper: Process
    controller_namespace: str | None = None
    """A path that names the controller's network namespace while the keeper lives."""
    hosts: Mapping[str, Process] = field(default_factory=dict)
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def make_document(cluster: Cluster, *, reused: bool) -> dict[str, object]:
    """Return the document that `up --json` prints."""
    folder = cluster.folder
    return {
        "schema": SCHEMA,
        "name": cluster.name,
        "network": cluster.network.value,
        "reason": cluster.reason,
        "reused": reused,
        "folder": cluster.state,
        "hostfile": str(folder / "hostfile"),
        "ssh_config": str(folder / "ssh_config"),
        "ssh_config_inside": str(folder / "ssh_config.inside") if cluster.is_isolated else None,
        "known_hosts": str(folder / "known_hosts"),
        "identity": str(folder / "identity"),
        "user": cluster.user,
        "options": asdict(cluster.options),
        "hosts": [asdict(host) for host in cluster.hosts],
    }


def parse_cluster(text: str) -> Cluster:
    """Read the document back. Raises ClusterError when it is not one of ours."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document["schema"] != SCHEMA:
            raise ClusterError(f"unknown schema {document['schema']!r}")
        options = document["options"]
        options.pop("rate", None)  # of a cluster that an earlier version made
        options |= {choices: tuple(options.get(choices, ())) for choices in ("rates", "gpus", "cpus", "homes")}
        return Cluster(
            name=document["name"],
            network=Network(document["network"]),
            reason=document["reason"],
            state=document["folder"],
            user=document["user"],
            options=Options(**options),
            hosts=tuple(Host(**host) for host in document["hosts"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"not a cluster's document: {error}") from error


def parse_running(text: str) -> Running:
    """Read what `make_running_text` wrote. Raises ClusterError when it is not that."""
    try:
        document: dict[str, Any] = json.loads(text)
        return Running(
            keeper=Process(**document["keeper"]),
            controller_namespace=document["controller_namespace"],
            hosts={name: Process(**process) for name, process in document["hosts"].items()},
            faults={name: tuple(faults) for name, faults in document["faults"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"not a cluster's list of processes: {error}") from error


def make_running_text(running: Running) -> str:
    """Return the text that `parse_running` reads."""
    return json.dumps(asdict(running), indent=1)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
