"""Makes the texts that OpenSSH, DeepSpeed and dsdeploy read about a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from testcluster.addresses import CONTROLLER_ADDRESS
from testcluster.state import Cluster, Host

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# sshd knows one home per account; this gives every host one of its own, for commands, shells and sftp alike.
SESSION_SCRIPT = """\
#!/bin/sh
cd "$HOME" || exit 1
export SHLVL=1  # bash reads .bashrc for sshd's first shell only; this one is the second
if [ -n "${SSH_ORIGINAL_COMMAND+set}" ]; then
    command=$SSH_ORIGINAL_COMMAND
    unset SSH_ORIGINAL_COMMAND
    exec "$SHELL" -c "$command"
fi
exec "$SHELL" -l
"""


def make_hostfile(cluster: Cluster) -> str:
    """Return a DeepSpeed hostfile with dsdeploy's extra word `python=`."""
    lines = (f"{host.name} slots={host.slots} python={host.python}\n" for host in cluster.hosts)
    return "".join(lines)


def make_ssh_config(cluster: Cluster, *, inside: bool) -> str:
    """Return an ssh_config(5) that knows every host, as seen from this machine or from inside the network."""
    identity = quote_for_ssh(cluster.folder / "identity")
    known_hosts = quote_for_ssh(cluster.folder / "known_hosts")
    blocks = []
    for host in cluster.hosts:
        address, port = (host.inside_address, 22) if inside else (host.address, host.port)
        blocks.append(
            f"Host {host.name}\n"
            f"    HostName {address}\n"
            f"    Port {port}\n"
            f"    User {cluster.user}\n"
            f"    IdentityFile {identity}\n"
            f"    IdentitiesOnly yes\n"
            f"    UserKnownHostsFile {known_hosts}\n"
            f"    StrictHostKeyChecking yes\n"
        )
    return "\n".join(blocks)


def quote_for_ssh(path: Path) -> str:
    """Return a path as ssh_config(5) reads it: quoted, with its own percent signs kept."""
    return '"' + str(path).replace("%", "%%") + '"'


def make_known_hosts(cluster: Cluster, keys: Mapping[str, str]) -> str:
    """Return the known_hosts lines; `keys` maps a host's name to `ssh-ed25519 AAAA…`."""
    lines = []
    for host in cluster.hosts:
        names = [host.name, f"[{host.address}]:{host.port}"]
        if host.inside_address is not None:
            names.append(host.inside_address)
        lines.append(f"{','.join(names)} {keys[host.name]}\n")
    return "".join(lines)


def make_sshd_config(cluster: Cluster, host: Host, *, sftp_server: str, has_penalties: bool) -> str:
    """Return the sshd_config(5) of one host.

    `has_penalties`: OpenSSH 9.8 and later punish an address whose logins fail; all ours come from one address.
    """
    folder = Path(host.folder)
    environment = {"HOME": host.home, "PATH": make_search_path(host)}
    if not cluster.is_isolated:
        environment["TMPDIR"] = str(folder / "tmp")
        if host.cpu is not None:
            environment["DSDEPLOY_CPUINFO"] = str(cpuinfo_of(host))
    lines = [
        f"ListenAddress {host.inside_address or host.address}",
        f"Port {22 if cluster.is_isolated else host.port}",
        f'HostKey "{folder / "host_key"}"',
        f'PidFile "{folder / "sshd.pid"}"',
        f'AuthorizedKeysFile "{str(cluster.folder / "identity.pub").replace("%", "%%")}"',
        "StrictModes no",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        "UseDNS no",
        "PrintMotd no",
        "PermitUserRC no",
        "LogLevel VERBOSE",
        f"Subsystem sftp {sftp_server}",
        "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()),
        f"ForceCommand {shlex.quote(str(folder / 'session'))}",
        *(["PerSourcePenalties no"] if has_penalties else []),
    ]
    return "\n".join(lines) + "\n"


def make_search_path(host: Host) -> str:
    """Return the PATH of a session: the captured `nvidia-smi` comes first on a host that plays a GPU host."""
    return SYSTEM_PATH if host.gpu is None else f"{Path(host.folder) / 'gpu-bin'}:{SYSTEM_PATH}"


def cpuinfo_of(host: Host) -> Path:
    """Return where the /proc/cpuinfo lies that a host with a played CPU shows."""
    return Path(host.folder) / "cpuinfo"


def make_hosts_file(hosts: Iterable[Host]) -> str:
    """Return an /etc/hosts by which the hosts of an isolated cluster find each other."""
    lines = ["127.0.0.1 localhost\n", f"{CONTROLLER_ADDRESS} controller\n"]
    lines += [f"{host.inside_address} {host.name}\n" for host in hosts]
    return "".join(lines)
