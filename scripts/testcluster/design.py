"""Decides what a cluster looks like: which hosts, at which addresses, with which files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testcluster import addresses
from testcluster.choices import find_played, parse_choice
from testcluster.cpus import check_cpu
from testcluster.errors import ClusterError
from testcluster.links import parse_rate
from testcluster.state import Cluster, Host, Network, Options

SLOTS_WITHOUT_GPU = 2


def check_options(options: Options) -> None:
    """Refuse what no cluster can be made of. Raises ClusterError."""
    if not 1 <= options.count <= addresses.MAX_HOSTS:
        raise ClusterError(f"a cluster has 1 to {addresses.MAX_HOSTS} hosts, not {options.count}")
    if options.rate is not None:
        parse_rate(options.rate)
    for choice in map(parse_choice, (*options.gpus, *options.cpus)):
        beyond = [index for index in choice.hosts or () if index >= options.count]
        if beyond:
            raise ClusterError(f"{choice.played} is for worker-{beyond[0]}, but there are {options.count} hosts")
    for choice in map(parse_choice, options.cpus):
        check_cpu(choice.played)


def design_cluster(
    folder: Path,
    options: Options,
    network: tuple[Network, str],
    *,
    user: str,
    count_gpus: Callable[[str], int],
) -> Cluster:
    """Return the cluster that the options describe. Raises ClusterError when no port is free."""
    kind, reason = network
    isolated = kind is Network.NAMESPACES
    find_address = addresses.gateway_address if isolated else addresses.loopback_address
    port = addresses.choose_port(find_address(index) for index in range(options.count))
    if port is None:
        raise ClusterError(f"no port from {addresses.FIRST_PORT} to {addresses.LAST_PORT} is free for all hosts")
    gpus, cpus = (tuple(map(parse_choice, texts)) for texts in (options.gpus, options.cpus))
    hosts = []
    for index in range(options.count):
        gpu = find_played(gpus, index)
        place = folder / "hosts" / f"worker-{index}"
        hosts.append(
            Host(
                name=place.name,
                index=index,
                address=find_address(index),
                port=port,
                inside_address=addresses.inside_address(index) if isolated else None,
                folder=str(place),
                python=str(place / "venv/bin/python"),
                home=str(place / "home"),
                log=str(place / "sshd.log"),
                slots=SLOTS_WITHOUT_GPU if gpu is None else count_gpus(gpu),
                gpu=gpu,
                cpu=find_played(cpus, index),
                has_pip=index % 2 == 1,
            )
        )
    return Cluster(
        name=folder.name,
        network=kind,
        reason=reason,
        state=str(folder),
        user=user,
        options=options,
        hosts=tuple(hosts),
    )
