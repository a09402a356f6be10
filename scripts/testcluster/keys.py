"""Makes the cluster's own keys: one that logs in, and one for each host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testcluster.requirements import require_tool
from testcluster.state import Host

_AT_ONCE = 4


def make_identity(folder: Path, comment: str) -> None:
    """Make the key pair `identity` that every host of the cluster lets in."""
    _make_key(folder / "identity", comment)


def make_host_keys(hosts: Iterable[Host]) -> Mapping[str, str]:
    """Make a key for each host and return the public halves by name, as `ssh-ed25519 AAAA…`."""
    every = tuple(hosts)
    paths = [Path(host.folder) / "host_key" for host in every]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(_make_key, paths, [host.name for host in every]))
    return {host.name: _read_public_half(path) for host, path in zip(every, paths, strict=True)}


def _make_key(path: Path, comment: str) -> None:
    command = [require_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _read_public_half(path: Path) -> str:
    return " ".join(path.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])
