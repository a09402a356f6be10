"""The peers: the same wheel copied and installed by ClusterShell, pdsh and Ansible, as their manuals say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from testcluster.state import Cluster

TARGET = "/var/tmp"  # noqa: S108 - on hosts of the bench's own, which end with it
"""Where peers put the wheel on every host."""
_PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - copy: {{src: {wheel}, dest: {target}/}}
    - command: {install}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a peer is asked to do."""

    cluster: Cluster
    wheel: Path
    tools: Path
    """The virtual environment of the peers that pip installed."""
    folder: Path
    """For what peers read."""

    @property
    def hosts(self) -> str:
        """Names, with commas."""
        return ",".join(host.name for host in self.cluster.hosts)

    @property
    def count(self) -> str:
        """How many: all at once."""
        return str(len(self.cluster.hosts))

    @property
    def ssh_options(self) -> str:
        """By which hosts are reached."""
        return f"-F {self.cluster.folder / 'ssh_config.inside'}"

    @property
    def install(self) -> str:
        """The command line that installs the wheel once it is there."""
        return install_command(f"{TARGET}/{self.wheel.name}")

    def program(self, name: str) -> str:
        """Return a program that pip installed."""
        return str(self.tools / "bin" / name)


def install_command(wheel: str) -> str:
    """Return what a host's shell installs a wheel with, into the host's own environment, which may have no pip."""
    return f"{sys.executable} -m pip --python $HOME/../venv/bin/python install --no-deps --force-reinstall {wheel}"


Commands = Callable[[Task], Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to install a wheel on hosts."""

    name: str
    tool: str
    """The key in fanoutbench's TOOLS of what it needs."""
    commands: Commands
    """Run one after another; the next one only when the last one says that all went well."""


def _clush(task: Task) -> list[list[str]]:
    clush = [task.program("clush"), "-w", task.hosts, "-f", task.count, "-o", task.ssh_options]
    return [[*clush, "--copy", str(task.wheel), "--dest", f"{TARGET}/"], [*clush, task.install]]


def _pdsh(task: Task) -> list[list[str]]:
    where = ["-R", "ssh", "-f", task.count, "-w", task.hosts]
    return [["pdcp", *where, str(task.wheel), f"{TARGET}/"], ["pdsh", *where, task.install]]


def _ansible(task: Task) -> list[list[str]]:
    inventory, playbook = task.folder / "inventory", task.folder / "install.yaml"
    lines = [f"{host.name} ansible_python_interpreter=/usr/bin/python3\n" for host in task.cluster.hosts]
    inventory.write_text("".join(lines), encoding="utf-8")
    install = f"sh -c '{task.install}'"
    playbook.write_text(_PLAYBOOK.format(wheel=task.wheel, target=TARGET, install=install), encoding="utf-8")
    options = ["-i", str(inventory), "-f", task.count, "--ssh-common-args", task.ssh_options]
    return [[task.program("ansible-playbook"), *options, str(playbook)]]


PEERS = (
    Peer(name="clush", tool="clush", commands=_clush),
    Peer(name="pdcp + pdsh", tool="pdcp", commands=_pdsh),
    Peer(name="Ansible", tool="ansible", commands=_ansible),
)
