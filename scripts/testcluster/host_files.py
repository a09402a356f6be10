"""Writes everything a cluster needs into its folder before any host starts."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from testcluster import config_texts
from testcluster.cpus import make_cpuinfo
from testcluster.gpus import install_gpu
from testcluster.interpreter import Interpreter
from testcluster.keys import make_host_keys, make_identity
from testcluster.requirements import find_sftp_server, require_tool
from testcluster.state import Cluster, Host
from testcluster.venvs import copy_environment, share_folder

_AT_ONCE = 4
_FIRST_WITH_PENALTIES = (9, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What the hosts of a cluster are made from."""

    interpreter: Interpreter
    bare_template: Path
    pip_template: Path
    torch: Path | None
    """The shared folder with torch in it."""
    captures: Path
    """The folder of captured `nvidia-smi` outputs."""


def write_cluster_files(cluster: Cluster, materials: Materials) -> None:
    """Write keys, configurations, homes and virtual environments."""
    folder = cluster.folder
    for host in cluster.hosts:
        Path(host.folder).mkdir(parents=True, mode=0o755)
    make_identity(folder, f"dsdeploy test cluster {cluster.name}")
    host_keys = make_host_keys(cluster.hosts)
    texts = {
        "hostfile": config_texts.make_hostfile(cluster),
        "ssh_config": config_texts.make_ssh_config(cluster, inside=False),
        "known_hosts": config_texts.make_known_hosts(cluster, host_keys),
    }
    if cluster.is_isolated:
        texts["ssh_config.inside"] = config_texts.make_ssh_config(cluster, inside=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    sshd = _SshdFacts(sftp_server=find_sftp_server(), has_penalties=_find_openssh_version() >= _FIRST_WITH_PENALTIES)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda host: _write_host_files(cluster, host, materials, sshd), cluster.hosts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _SshdFacts:
    sftp_server: str
    has_penalties: bool


def _write_host_files(cluster: Cluster, host: Host, materials: Materials, sshd: _SshdFacts) -> None:
    folder = Path(host.folder)
    for name in ("tmp", "disk"):
        (folder / name).mkdir(mode=0o700)
    Path(host.home).mkdir(mode=0o700, parents=True, exist_ok=True)
    config = config_texts.make_sshd_config(
        cluster, host, sftp_server=sshd.sftp_server, has_penalties=sshd.has_penalties
    )
    (folder / "sshd_config").write_text(config, encoding="utf-8")
    session = folder / "session"
    session.write_text(config_texts.SESSION_SCRIPT, encoding="utf-8")
    session.chmod(0o755)
    Path(host.log).touch(mode=0o600)
    environment = Path(host.python).parent.parent
    copy_environment(materials.pip_template if host.has_pip else materials.bare_template, environment)
    if materials.torch is not None:
        share_folder(environment, materials.interpreter, materials.torch)
    install_gpu(host, materials.captures, materials.interpreter.executable)
    if host.cpu is not None:
        real = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        config_texts.cpuinfo_of(host).write_text(make_cpuinfo(real, host.cpu), encoding="utf-8")


def _find_openssh_version() -> tuple[int, int]:
    words = subprocess.run([require_tool("ssh"), "-V"], capture_output=True, text=True, check=True).stderr
    return parse_openssh_version(words)


def parse_openssh_version(words: str) -> tuple[int, int]:
    """Return (9, 2) for `OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL …`; (0, 0) for words of another program."""
    _, _, rest = words.partition("OpenSSH_")
    digits = rest.split(",")[0].split("p")[0].split()[0].split(".") if rest.strip() else []
    if len(digits) < 2 or not (digits[0].isdecimal() and digits[1].isdecimal()):
        return (0, 0)
    return int(digits[0]), int(digits[1])
