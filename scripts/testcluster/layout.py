"""Where a cluster's files lie, and who may change them now."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.state import Cluster, Running, parse_cluster, parse_running

KEPT = "kept"
"""The mark of a cluster that is down while its hosts' disks wait for the next `up`."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def find_state_root(environment: Mapping[str, str]) -> Path:
    """Return the folder that holds all clusters (XDG Base Directory: state)."""
    return _find_base(environment, "XDG_STATE_HOME", ".local/state") / "dsdeploy-cluster"


def find_cache_root(environment: Mapping[str, str]) -> Path:
    """Return the folder of what all clusters share: torch and templates of virtual environments."""
    return _find_base(environment, "XDG_CACHE_HOME", ".cache") / "dsdeploy-cluster"


def _find_base(environment: Mapping[str, str], variable: str, default: str) -> Path:
    named = environment.get(variable, "")
    return Path(named) if named.startswith("/") else Path(environment.get("HOME") or Path.home()) / default


def find_folder(root: Path, name: str) -> Path:
    """Return the folder of a cluster. Raises ClusterError for a name that is not a plain word."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"not a name for a cluster: {name!r}", hint="lower-case letters, digits, '-' and '_', 40 at most"
        )
    return root / name


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, and its parents as usual."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes of this program."""
    make_private_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def load_cluster(folder: Path) -> Cluster | None:
    """Return the cluster of a folder; None when there is none or it was never finished."""
    try:
        return parse_cluster((folder / "cluster.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def load_running(folder: Path) -> Running | None:
    """Return the recorded processes of a cluster's folder, or None."""
    try:
        return parse_running((folder / "running.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def require_cluster(root: Path, name: str) -> Cluster:
    """Return a cluster that exists. Raises ClusterError with a hint otherwise."""
    cluster = load_cluster(find_folder(root, name))
    if cluster is None:
        raise ClusterError(f"there is no cluster {name}", hint="start one: scripts/cluster up 3")
    return cluster
