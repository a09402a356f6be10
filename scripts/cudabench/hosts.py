"""The hosts that the wheels are for: two of the test cluster, which play H100s and A100s."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cudabench.errors import BenchError
from cudabench.workplace import CLUSTER, Interpreter, Workplace

_NAME = ("--name", "bench-cuda")
_H100, _A100 = "h100x8", "a100x2"


@contextmanager
def cluster_up(place: Workplace) -> Iterator[Path]:
    """Bring the hosts up, write the hostfiles, and yield the ssh_config; at the end they are down."""
    try:
        gpus = ("--gpu", f"{_H100}:0", "--gpu", f"{_A100}:1")
        up = subprocess.run(
            [CLUSTER, "up", "2", *_NAME, *gpus, "--torch", "none", "--json"], stdout=subprocess.PIPE, check=False
        )
        if up.returncode != 0:
            raise BenchError("the test cluster did not come up")
        cluster = json.loads(up.stdout)
        _write_hostfiles(place, {host["gpu"]: f"{host['name']} slots={host['slots']}" for host in cluster["hosts"]})
        yield Path(cluster["ssh_config"])
    finally:
        subprocess.run([CLUSTER, "down", *_NAME], check=True, stdout=sys.stderr)


def _write_hostfiles(place: Workplace, hosts: Mapping[str, str]) -> None:
    """Write who is there, and with which interpreter: a host sees the virtual environments of this machine."""
    texts = {
        "sm_90": _line(hosts[_H100], place.first),
        "sm_80": _line(hosts[_A100], place.first),
        "both": _line(hosts[_H100], place.first) + _line(hosts[_A100], place.first),
        "second-python": _line(hosts[_H100], place.second),
    }
    for name, text in texts.items():
        place.hostfile(name).parent.mkdir(exist_ok=True)
        place.hostfile(name).write_text(text, encoding="utf-8")


def _line(host: str, interpreter: Interpreter) -> str:
    return f"{host} python={interpreter.python}\n"
