"""Brings a cluster up, or finds that it is up already."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testcluster.addresses import is_free
from testcluster.choices import parse_choice
from testcluster.control import tell_keeper
from testcluster.design import check_options, design_cluster
from testcluster.errors import ClusterError
from testcluster.gpus import count_gpus
from testcluster.host_files import Materials, write_cluster_files
from testcluster.interpreter import Interpreter
from testcluster.keeper_start import start_keeper
from testcluster.layout import KEPT, find_folder, load_cluster, load_running, lock, make_private_folder
from testcluster.network_choice import choose_network
from testcluster.processes import is_alive
from testcluster.requirements import ALWAYS, describe_missing, find_missing
from testcluster.state import Cluster, Network, Options, make_document, write_atomically
from testcluster.taking_down import take_down
from testcluster.torch_cache import find_torch
from testcluster.venvs import find_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are on this machine."""

    state: Path
    cache: Path
    captures: Path
    program: Path
    """The command itself, which the keeper and the hosts are started with."""


def bring_up(
    name: str, options: Options, interpreter: Interpreter, places: Places, say: Callable[[str], None]
) -> tuple[Cluster, bool]:
    """Return a living cluster, and whether it, or its kept disks, were there before. Raises ClusterError."""
    check_options(options)
    for choice in map(parse_choice, options.gpus):
        count_gpus(places.captures, choice.played)
    missing = find_missing(ALWAYS)
    if missing:
        raise describe_missing(missing)
    folder = find_folder(places.state, name)
    with lock(places.state):
        living = _find_reusable(folder, options)
        if living is not None:
            return living, True
        materials = _gather_materials(options, interpreter, places, say)
        kept = _find_kept(folder, options)
        if kept is not None:
            _switch_on(kept, places.program)
            return kept, True
        take_down(folder)
        network = choose_network(options.network, places.program)
        if options.rates and network[0] is Network.LOOPBACK:
            say("note: a loopback cluster has no links of its own: --rate has no effect")
        return _bring_up_new(folder, options, network, materials, places), False


def _bring_up_new(
    folder: Path, options: Options, network: tuple[Network, str], materials: Materials, places: Places
) -> Cluster:
    """Design and start a cluster; again when somebody else takes its port between the two."""
    while True:
        cluster = design_cluster(
            folder,
            options,
            network,
            user=pwd.getpwuid(os.getuid()).pw_name,
            count_gpus=lambda capture: count_gpus(places.captures, capture),
        )
        try:
            _build(cluster, materials, places.program)
        except BaseException as error:
            take_down(folder)
            if isinstance(error, ClusterError) and not all(is_free(host.address, host.port) for host in cluster.hosts):
                continue
            raise
        return cluster


def _find_reusable(folder: Path, options: Options) -> Cluster | None:
    """Return the cluster of a folder when it is what was asked for and all its hosts are well, or made well."""
    cluster = load_cluster(folder)
    running = load_running(folder)
    if cluster is None or running is None or cluster.options != options or not is_alive(running.keeper):
        return None
    try:
        for host in running.faults:
            tell_keeper(folder, host, "restore")
        running = load_running(folder)
    except ClusterError:
        return None
    if running is None or len(running.hosts) != options.count or not all(map(is_alive, running.hosts.values())):
        return None
    return cluster


def _find_kept(folder: Path, options: Options) -> Cluster | None:
    """Return the cluster that went down with its disks kept, when it is what was asked for and its port is free."""
    cluster = load_cluster(folder)
    if cluster is None or cluster.options != options or not (folder / KEPT).exists():
        return None
    return cluster if all(is_free(host.address, host.port) for host in cluster.hosts) else None


def _switch_on(cluster: Cluster, program: Path) -> None:
    (cluster.folder / KEPT).unlink()
    try:
        start_keeper(cluster, program)
    except BaseException:
        take_down(cluster.folder)
        raise


def _gather_materials(
    options: Options, interpreter: Interpreter, places: Places, say: Callable[[str], None]
) -> Materials:
    pip_template = find_template(places.cache, interpreter, has_pip=True)
    torch = None
    if options.torch is not None:
        torch = find_torch(places.cache, options.torch, interpreter, template=pip_template, say=say)
    return Materials(
        interpreter=interpreter,
        bare_template=find_template(places.cache, interpreter, has_pip=False),
        pip_template=pip_template,
        torch=torch,
        captures=places.captures,
    )


def _build(cluster: Cluster, materials: Materials, program: Path) -> None:
    folder = cluster.folder
    make_private_folder(folder)
    write_cluster_files(cluster, materials)
    document = make_document(cluster, reused=False)
    write_atomically(folder / "cluster.json", json.dumps(document, indent=1))
    start_keeper(cluster, program)
