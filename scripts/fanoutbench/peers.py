"""The peers, and how each is asked to bring one file to all hosts: as its own manual says, nothing tuned away."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fanoutbench.ground import OUR_TARGET, TARGET, Ground

OURS, OURS_FIRST, TAKTUK, SCP, SCP_TO_ONE = "dsdeploy", "dsdeploy-first", "taktuk", "scp", "scp-to-one"
Command = Callable[[Ground], list[str]]


class Kind(enum.Enum):
    """How a peer's copies travel."""

    OURS = "ours"
    TREE = "tree"
    """Hosts pass the file on."""
    STAR = "star"
    """The controller sends every copy itself."""
    ONE = "one copy"
    """To the first host alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to bring a file to hosts."""

    name: str
    kind: Kind
    tool: str
    """The key in TOOLS of what it needs."""
    command: Command
    environment: Callable[[Ground], Mapping[str, str]] = field(default=lambda _: {})
    prepare: Callable[[Ground], list[str]] | None = None
    """A module of ours that is run before, and not measured."""
    is_quick: bool = False
    """A matter of seconds: run several times."""
    target: str = TARGET
    """Where the file is afterwards; `~` is the host's home."""


def _ours(ground: Ground) -> list[str]:
    return [sys.executable, "-m", "fanoutbench.ours", str(ground.settings)]


def _greet(ground: Ground) -> list[str]:
    """Return what brings our agent to the hosts, as any command of ours does; the others' programs are there too."""
    return ["fanoutbench.ours", str(ground.settings), "greet"]


def _for_each(ground: Ground, *argv: str) -> list[str]:
    """Return a command that runs another for each host, all at once: `{}` in it is the host."""
    return ["xargs", "-a", str(ground.host_list), "-P", str(len(ground.hosts)), "-I", "{}", *argv]


def _scp(ground: Ground) -> list[str]:
    source = str(ground.payload.path)
    return _for_each(ground, "scp", "-q", "-F", str(ground.ssh_config), source, f"{{}}:{TARGET}")


def _scp_to_one(ground: Ground) -> list[str]:
    source = str(ground.payload.path)
    return ["scp", "-q", "-F", str(ground.ssh_config), source, f"{ground.hosts[0]}:{TARGET}"]


def _rsync(ground: Ground) -> list[str]:
    return _for_each(ground, "rsync", "-W", "-e", _ssh(ground), str(ground.payload.path), f"{{}}:{TARGET}")


def _ssh(ground: Ground) -> str:
    return f"ssh -F {ground.ssh_config}"


def _pdcp(ground: Ground) -> list[str]:
    fan_out = str(len(ground.hosts))
    return ["pdcp", "-R", "ssh", "-f", fan_out, "-w", f"^{ground.host_list}", str(ground.payload.path), TARGET]


def _clush(ground: Ground, *options: str) -> list[str]:
    where = ["-w", ",".join(ground.hosts), "-f", str(len(ground.hosts)), "-o", f"-F {ground.ssh_config}"]
    copy = ["--copy", str(ground.payload.path), "--dest", TARGET]
    return [_installed(ground, "clush"), "-q", *where, *options, *copy]


def _clush_tree(ground: Ground) -> list[str]:
    return _clush(ground, "--topology", str(ground.routes))


def _installed(ground: Ground, name: str) -> str:
    return str(ground.tools / "bin" / name)


def _python_program(name: str) -> Command:
    """Return the command of a program of ours that drives a peer's library."""
    program = str(Path(__file__).with_name(name))
    return lambda ground: [_installed(ground, "python"), "-I", program, str(ground.settings)]


def _ansible(ground: Ground) -> list[str]:
    arguments = f"src={ground.payload.path} dest={TARGET}"
    forks = str(len(ground.hosts))
    return [
        _installed(ground, "ansible"), "all", "-i", str(ground.inventory), "-f", forks, "-m", "copy", "-a", arguments,
        "--ssh-common-args", f"-F {ground.ssh_config}", "-o",
    ]  # fmt: skip


def _taktuk(ground: Ground) -> list[str]:
    copy = ["broadcast", "put", "[", str(ground.payload.path), "]", "[", TARGET, "]"]
    return ["taktuk", "-s", "-d", "2", "-w", "2", "-c", _ssh(ground), "-f", str(ground.host_list), *copy]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name=OURS,
            kind=Kind.OURS,
            tool="ssh",
            command=_ours,
            prepare=_greet,
            is_quick=True,
            target=OUR_TARGET,
        ),
        Peer(name=OURS_FIRST, kind=Kind.OURS, tool="ssh", command=_ours, is_quick=True, target=OUR_TARGET),
        Peer(name=TAKTUK, kind=Kind.TREE, tool="taktuk", command=_taktuk, is_quick=True),
        Peer(
            name="clush-tree",
            kind=Kind.TREE,
            tool="clush",
            command=_clush_tree,
            environment=lambda ground: {"CLUSTERSHELL_GW_PYTHON_EXECUTABLE": _installed(ground, "python")},
        ),
        Peer(name=SCP, kind=Kind.STAR, tool="ssh", command=_scp),
        Peer(name="rsync", kind=Kind.STAR, tool="rsync", command=_rsync),
        Peer(
            name="pdcp",
            kind=Kind.STAR,
            tool="pdcp",
            command=_pdcp,
            environment=lambda ground: {"PDSH_SSH_ARGS_APPEND": f"-F {ground.ssh_config}"},
        ),
        Peer(name="clush", kind=Kind.STAR, tool="clush", command=_clush),
        Peer(name="parallel-ssh", kind=Kind.STAR, tool="parallel-ssh", command=_python_program("parallel_ssh_copy.py")),
        Peer(name="fabric", kind=Kind.STAR, tool="fabric", command=_python_program("fabric_copy.py")),
        Peer(name="ansible", kind=Kind.STAR, tool="ansible", command=_ansible),
        Peer(name=SCP_TO_ONE, kind=Kind.ONE, tool="ssh", command=_scp_to_one, is_quick=True),
    )
}
