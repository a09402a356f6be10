"""The command `scripts/cluster`: reads its arguments, acts, and says what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testcluster.bringing_up import Places, bring_up
from testcluster.control import tell_keeper
from testcluster.errors import ClusterError
from testcluster.faults import Fault, parse_order
from testcluster.interpreter import choose_interpreter
from testcluster.kernel import enter_network_namespace
from testcluster.layout import find_cache_root, find_folder, find_state_root, load_running, lock, require_cluster
from testcluster.listing import describe_cluster, list_clusters
from testcluster.state import Options, make_document
from testcluster.taking_down import KeptDisks, take_down
from testcluster.torch_cache import DEFAULT_TORCH

_EPILOG = "The state of a cluster lies in $XDG_STATE_HOME/dsdeploy-cluster, torch in $XDG_CACHE_HOME/dsdeploy-cluster."


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__, epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring up N hosts, or use those that are up")
    up.add_argument("count", type=int, metavar="N")
    up.add_argument(
        "--rate", action="append", default=[], metavar="RATE[:HOSTS]", help="of the links: 200mbit, 10mbit:3"
    )
    up.add_argument("--gpu", action="append", default=[], metavar="CAPTURE[:HOSTS]", help="h100x8 or a100x2:0-1,3")
    up.add_argument("--cpu", action="append", default=[], metavar="CPU[:HOSTS]", help="an older CPU: avx2:1, sse4")
    up.add_argument("--home", action="append", default=[], metavar="NAME[:HOSTS]", help="a home they share: nfs:0-2")
    up.add_argument("--python", metavar="PATH", help="the Python of the hosts' virtual environments")
    up.add_argument("--network", choices=("auto", "namespaces", "loopback"), default="auto")
    up.add_argument("--torch", metavar="SPEC", help=f"{DEFAULT_TORCH} by default, or DSDEPLOY_TORCH; or none")
    up.add_argument("--disk-mb", type=int, default=2048, metavar="MB", help="what each host may write (2048)")
    down = commands.add_parser("down", help="end a cluster and remove its folder")
    down.add_argument("--all", action="store_true", help="every cluster of this state folder")
    down.add_argument("--keep-disks", action="store_true", help="the next up finds what the hosts hold now")
    list_ = commands.add_parser("list", help="show the clusters")
    run = commands.add_parser("exec", help="run a command in the network of the cluster's controller")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD...")
    fault = commands.add_parser("fault", help="let a host suffer")
    fault.add_argument("host")
    fault.add_argument("fault", help=f"{', '.join(fault.value for fault in Fault)}; slow:5mbit, fill:8 (MiB left)")
    for command in (up, down, run, fault):
        command.add_argument("--name", default="default", help="which cluster")
    for command in (up, list_):
        command.add_argument("--json", action="store_true", help="one document on stdout")
    return parser


def find_places(environment: Mapping[str, str], program: Path) -> Places:
    """Return where everything is."""
    return Places(
        state=find_state_root(environment),
        cache=find_cache_root(environment),
        captures=program.parent.parent / "tests/captures/nvidia-smi",
        program=program,
    )


def main(argv: Sequence[str], program: Path) -> int:
    """Act and return the exit code: 0 done, 2 it cannot be done as asked, 130 interrupted."""
    asked = make_parser().parse_args(argv)
    places = find_places(os.environ, program)
    commands = {"up": _up, "down": _down, "list": _list, "exec": _exec, "fault": _fault}
    try:
        code = commands[asked.command](asked, places)
        sys.stdout.flush()
    except ClusterError as error:
        _say(f"error: {error}")
        if error.hint:
            _say(f"hint: {error.hint}")
        return 2
    except BrokenPipeError:  # the reader has seen enough; what was asked for is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    return code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _up(asked: argparse.Namespace, places: Places) -> int:
    interpreter = choose_interpreter(asked.python)
    torch = asked.torch or os.environ.get("DSDEPLOY_TORCH") or DEFAULT_TORCH
    options = Options(
        count=asked.count,
        network=asked.network,
        rates=tuple(asked.rate),
        gpus=tuple(asked.gpu),
        cpus=tuple(asked.cpu),
        homes=tuple(asked.home),
        python=interpreter.executable,
        torch=None if torch == "none" else torch,
        disk_mb=asked.disk_mb,
    )
    cluster, reused = bring_up(asked.name, options, interpreter, places, _say)
    if asked.json:
        print(json.dumps(make_document(cluster, reused=reused), indent=2))
    else:
        print(describe_cluster(cluster, reused=reused))
    return 0


def _down(asked: argparse.Namespace, places: Places) -> int:
    names = [entry["name"] for entry in list_clusters(places.state)] if asked.all else [asked.name]
    disks = KeptDisks.ALL if asked.keep_disks else KeptDisks.NONE
    with lock(places.state):
        for name in names:
            found = take_down(find_folder(places.state, str(name)), disks)
            print(f"{name}: {'down' if found else 'there is none'}")
    return 0


def _list(asked: argparse.Namespace, places: Places) -> int:
    entries = list_clusters(places.state)
    if asked.json:
        print(json.dumps({"schema": "dsdeploy.clusters/1", "clusters": entries}, indent=2))
        return 0
    for entry in entries:
        condition = "alive" if entry["alive"] else "kept" if entry["kept"] else "dead"
        print(f"{entry['name']}  {entry['hosts']} hosts  {entry['network']}  {condition}  {entry['folder']}")
    return 0


def _exec(asked: argparse.Namespace, places: Places) -> int:
    argv = asked.argv[1:] if asked.argv[:1] == ["--"] else asked.argv
    if not argv:
        raise ClusterError("no command to run", hint="scripts/cluster exec -- ssh …")
    cluster = require_cluster(places.state, asked.name)
    running = load_running(cluster.folder)
    if cluster.is_isolated:
        try:
            descriptor = os.open(running.controller_namespace or "" if running else "", os.O_RDONLY)
        except OSError as error:
            raise ClusterError(f"the cluster {cluster.name} is not up") from error
        enter_network_namespace(descriptor)
        os.close(descriptor)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # it becomes the command; no shell is wanted
    except OSError as error:
        raise ClusterError(f"cannot run {argv[0]}: {error.strerror}") from error


def _fault(asked: argparse.Namespace, places: Places) -> int:
    cluster = require_cluster(places.state, asked.name)
    tell_keeper(cluster.folder, cluster.find_host(asked.host).name, str(parse_order(asked.fault)))
    return 0
