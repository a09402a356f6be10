"""Makes a cell's fault, and ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from testcluster.processes import Process

from faultsbench.cells import Fault
from faultsbench.errors import BenchError
from faultsbench.hosts import HostView, kill

End = Callable[[], None]
_ASIDE = ".aside"


def inflict(fault: Fault, victim: HostView, run: subprocess.Popen[bytes]) -> End:
    """Make the fault on the victim, or on the controller's process, and return what ends it."""
    match fault:
        case Fault.AGENT:
            kill(victim.agents())
        case Fault.SSHD:
            kill(_sshd(victim))
            return lambda: victim.suffer("restore")
        case Fault.LINK:
            victim.suffer("drop")
            return lambda: victim.suffer("restore")
        case Fault.DISK:
            victim.suffer("fill:0")
            return lambda: victim.suffer("restore")
        case Fault.PIP:
            return break_pip(victim)
        case Fault.OP:
            return break_ops(victim)
        case Fault.CONTROLLER:
            run.kill()
        case Fault.CTRL_C:
            os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    return lambda: None


def _sshd(view: HostView) -> list[Process]:
    """Return the host's sshd and those of its sessions."""
    return [each for each in view.processes() if Path(f"/proc/{each.pid}/comm").read_text().startswith("sshd")]


def break_pip(view: HostView) -> End:
    """Take pip's files away, and end the pip that runs: whatever it has begun stays half done."""
    end = _set_aside(list(view.cache.glob("pip/*/pip")), f"{view.name} has no pip yet")
    kill([*view.running(b"--force-reinstall"), *view.running(b"--dry-run")])
    return end


def break_ops(view: HostView) -> End:
    """Take a library of torch away that every op needs."""
    text = next(view.site_packages.glob("dsdeploy-test-cluster.pth")).read_text(encoding="utf-8")
    shared = re.search(r"'(.+)'", text)
    library = view.path(shared[1]) / "torch" / "lib" / "libtorch.so" if shared else None
    return _set_aside([library] if library and library.exists() else [], f"{view.name} has no torch")


def _set_aside(paths: list[Path], lack: str) -> End:
    if not paths:
        raise BenchError(lack)
    moved = [(path, path.rename(path.with_name(path.name + _ASIDE))) for path in paths]

    def put_back() -> None:
        for path, aside in moved:
            aside.rename(path)

    return put_back
