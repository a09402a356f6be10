"""Runs peers on hosts of which one suffers in mid-way, and says what they leave on the disks."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fanoutbench.tools import find_tools
from testcluster.state import Cluster

from faultsbench.cells import Fault
from faultsbench.clusters import CLUSTER, views_of
from faultsbench.disks import Wheel, read_disk
from faultsbench.errors import BenchError
from faultsbench.faults import inflict
from faultsbench.hosts import HostView
from faultsbench.peers import PEERS, TARGET, Peer, Task, install_command
from faultsbench.results import PeerResult

RATE = "10mbit"
"""Of the links: the copy takes two seconds, so that there is a middle."""
_FAULTS = (Fault.LINK, Fault.SSHD, Fault.DISK)
_LIMIT_S = 60.0
_TIMED_OUT_CODE = 124
_POLL_S = 0.003


def run_peers(
    cluster: Cluster, wheels: tuple[Wheel, Wheel], folder: Path, say: Callable[[str], None]
) -> Iterator[PeerResult]:
    """Run every peer that can be had with every fault, each time on hosts that have the first wheel, and yield each."""
    tools = folder / "tools"
    versions = find_tools(tools, [peer.tool for peer in PEERS], say)
    for peer in PEERS:
        if peer.tool not in versions:
            say(f"{peer.name} is left out: it cannot be had")
            continue
        task = Task(cluster=cluster, wheel=wheels[1].path, tools=tools, folder=folder)
        for fault in _FAULTS:
            _install_first(cluster, wheels[0])
            result = _run(peer, fault, task, wheels)
            say(f"{peer.name}, {fault.text}: exit code {result.exit_code}, {dict(result.hosts)}")
            yield result


def _install_first(cluster: Cluster, wheel: Wheel) -> None:
    site = "$HOME/../venv/lib/python3*/site-packages"
    command = f"rm -rf {TARGET}/deepspeed* {site}/deepspeed* {site}/~*; {install_command(str(wheel.path))}"
    config = str(cluster.folder / "ssh_config")
    running = [
        subprocess.Popen(["ssh", "-F", config, host.name, command], stdout=subprocess.DEVNULL) for host in cluster.hosts
    ]
    exit_codes = [process.wait() for process in running]
    if any(exit_codes):
        raise BenchError("the hosts could not be given the first wheel")


def _run(peer: Peer, fault: Fault, task: Task, wheels: tuple[Wheel, Wheel]) -> PeerResult:
    _, victim, *_ = views = views_of(task.cluster)
    log = task.folder / f"{peer.tool}-{fault.value}.log"
    started, end = time.monotonic(), None
    exit_code = 0
    try:
        for argv in peer.commands(task):
            process = _start(argv, task, log)
            if end is None:
                _until_half_there(process, victim, wheels[1])
                end = inflict(fault, victim, process)
            exit_code = _await_end(process, started + _LIMIT_S)
            if exit_code != 0:
                break
        elapsed_s = time.monotonic() - started
        hosts = {view.name: _describe(view, wheels) for view in views}
    finally:
        if end is not None:
            end()
    return PeerResult(peer=peer.name, fault=fault.text, exit_code=exit_code, elapsed_s=elapsed_s, hosts=hosts)


def _start(argv: Sequence[str], task: Task, log: Path) -> subprocess.Popen[bytes]:
    command = [*CLUSTER, "exec", "--name", task.cluster.name, "--", *argv]
    environment = {
        "XDG_STATE_HOME": str(task.cluster.folder.parents[1]),
        "PDSH_SSH_ARGS_APPEND": task.ssh_options,
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | environment,
            start_new_session=True,
        )  # fmt: skip


def _until_half_there(process: subprocess.Popen[bytes], victim: HostView, wheel: Wheel) -> None:
    """Wait until a part of the wheel is on the victim, under whatever name."""
    size = wheel.path.stat().st_size
    while not any(0 < found < size for found in map(_size, _copies(victim))):
        if process.poll() is not None:
            raise BenchError(f"the copy ended with {process.returncode} before it was half done")
        time.sleep(_POLL_S)


def _copies(view: HostView) -> list[Path]:
    """Return the places where peers put the wheel, at first or at last."""
    return [*view.path(TARGET).glob("deepspeed*"), *view.path(view.host.home).glob(".ansible/tmp/*/.source*")]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # renamed meanwhile
        return 0


def _await_end(process: subprocess.Popen[bytes], deadline: float) -> int:
    """Return the exit code; as timeout(1) does, 124 for a command that did not end."""
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return _TIMED_OUT_CODE


def _describe(view: HostView, wheels: tuple[Wheel, Wheel]) -> str:
    """Return what a host has, for people."""
    names = {wheel.version: name for wheel, name in zip(wheels, ("old", "new"), strict=True)}
    text = names.get(read_disk(view, wheels).version or "", "parts of both")
    content = wheels[1].path.read_bytes()
    for path in view.path(TARGET).glob("deepspeed*"):
        found = path.read_bytes()
        if found != content:
            kind = "with wrong bytes" if len(found) == len(content) else f"cut off at {len(found) / len(content):.0%}"
            text += f", and a file under the final name, {kind}"
    return text
