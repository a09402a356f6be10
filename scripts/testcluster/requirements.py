"""Knows which programs a test cluster needs, which packages bring them, and which are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from testcluster.config_texts import SYSTEM_PATH
from testcluster.errors import ClusterError

ALWAYS = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}
FOR_NAMESPACES = {"ip": "iproute2", "tc": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}
_SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")


def find_tool(name: str) -> str | None:
    """Return the path of a program, looked for in the system's folders as well: sshd must be run by its path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def require_tool(name: str) -> str:
    """Return the path of a program. Raises ClusterError that names its package."""
    path = find_tool(name)
    if path is None:
        raise describe_missing({name: (ALWAYS | FOR_NAMESPACES).get(name, name)})
    return path


def find_missing(tools: dict[str, str], *, find: Callable[[str], str | None] = find_tool) -> dict[str, str]:
    """Return those of the tools (program → package) that this machine lacks."""
    return {tool: package for tool, package in tools.items() if find(tool) is None}


def describe_missing(tools: dict[str, str]) -> ClusterError:
    """Return the error that says what is missing and how to get it."""
    packages = " ".join(sorted(set(tools.values())))
    return ClusterError(f"the test cluster needs {', '.join(tools)}", hint=f"as root: apt-get install -y {packages}")


def find_sftp_server() -> str:
    """Return the path of OpenSSH's sftp-server."""
    for path in _SFTP_SERVERS:
        if Path(path).exists():
            return path
    raise describe_missing({"sftp-server": "openssh-sftp-server"})
