"""Decides what a cluster looks like: which hosts, at which addresses, with which files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from testcluster import addresses
from testcluster.choices import find_played, parse_choice
from testcluster.cpus import check_cpu
from testcluster.errors import ClusterError
from testcluster.links import parse_rate
from testcluster.state import Cluster, Host, Network, Options

SLOTS_WITHOUT_GPU = 2
_HOME_NAME = re.compile(r"[a-z0-9_-]+")


def check_options(options: Options) -> None:
    """Refuse what no cluster can be made of. Raises ClusterError."""
    if not 1 <= options.count <= addresses.MAX_HOSTS:
        raise ClusterError(f"a cluster has 1 to {addresses.MAX_HOSTS} hosts, not {options.count}")
    for choice in map(parse_choice, (*options.rates, *options.gpus, *options.cpus, *options.homes)):
        beyond = [index for index in choice.hosts or () if index >= options.count]
        if beyond:
            raise ClusterError(f"{choice.played} is for worker-{beyond[0]}, but there are {options.count} hosts")
    for choice in map(parse_choice, options.cpus):
        check_cpu(choice.played)
    for choice in map(parse_choice, options.rates):
        parse_rate(choice.played)
    for choice in map(parse_choice, options.homes):
        if not _HOME_NAME.fullmatch(choice.played):
            raise ClusterError(f"not a name for a shared home: {choice.played!r}", hint="for example nfs:0-2")


def find_common_rate(options: Options) -> str | None:
    """Return the rate of the links that no host is named for: the controller's among them."""
    return find_played([choice for choice in map(parse_choice, options.rates) if choice.hosts is None], 0)


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
    gpus, cpus, rates, homes = (
        tuple(map(parse_choice, texts)) for texts in (options.gpus, options.cpus, options.rates, options.homes)
    )
    hosts = []
    for index in range(options.count):
        gpu, home = find_played(gpus, index), find_played(homes, index)
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
                home=str(place / "home" if home is None else folder / "homes" / home),
                log=str(place / "sshd.log"),
                slots=SLOTS_WITHOUT_GPU if gpu is None else count_gpus(gpu),
                gpu=gpu,
                cpu=find_played(cpus, index),
                has_pip=index % 2 == 1,
                rate=find_played(rates, index),
                shares_home=home is not None,
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
