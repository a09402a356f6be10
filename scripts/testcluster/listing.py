"""Tells which clusters there are and what a person does with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from testcluster.errors import ClusterError
from testcluster.layout import KEPT, load_cluster, load_running
from testcluster.processes import is_alive
from testcluster.state import Cluster


def list_clusters(root: Path) -> list[dict[str, Any]]:
    """Return one entry for each cluster: name, hosts, network, alive, kept, folder, faults by host.

    `kept`: it is down, and its disks wait for the next `up`.
    """
    entries = []
    for folder in sorted(root.iterdir()) if root.exists() else []:
        try:
            cluster, running = load_cluster(folder), load_running(folder)
        except ClusterError:
            cluster, running = None, None
        entries.append(
            {
                "name": folder.name,
                "hosts": len(cluster.hosts) if cluster else 0,
                "network": cluster.network.value if cluster else None,
                "alive": running is not None and is_alive(running.keeper),
                "kept": (folder / KEPT).exists(),
                "folder": str(folder),
                "faults": dict(running.faults) if running else {},
            }
        )
    return entries


def describe_cluster(cluster: Cluster, *, reused: bool) -> str:
    """Return what `up` says to a person."""
    folder = cluster.folder
    verb = "is up already" if reused else "is up"
    lines = [
        f"{cluster.name} {verb}: {len(cluster.hosts)} hosts, network: {cluster.network.value} ({cluster.reason})",
        *(
            f"  {host.name:<10} {host.address}:{host.port}  {host.python}" + (f"  plays {host.gpu}" if host.gpu else "")
            for host in cluster.hosts
        ),
        f"folder      {folder}",
        f"hostfile    {folder / 'hostfile'}",
        f"ssh config  {folder / 'ssh_config'}",
        f"known hosts {folder / 'known_hosts'}",
        f"identity    {folder / 'identity'}",
        f"try it      ssh -F {folder / 'ssh_config'} {cluster.hosts[0].name}",
    ]
    return "\n".join(lines)
