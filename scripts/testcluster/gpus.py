"""Lets a host play a GPU host: a captured `nvidia-smi` answers there."""

from __future__ import annotations

import shutil
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.state import Host

_FAKE = Path(__file__).with_name("fake_nvidia_smi.py")


def count_gpus(captures: Path, capture: str) -> int:
    """Return how many GPUs a capture shows. Raises ClusterError when there is no such capture."""
    path = captures / f"{capture}.csv"
    if not path.exists():
        known = ", ".join(sorted(other.stem for other in captures.glob("*.csv"))) or "none"
        raise ClusterError(f"there is no capture {capture} of nvidia-smi", hint=f"captured: {known}")
    return len(path.read_text(encoding="utf-8").splitlines()) - 1


def install_gpu(host: Host, captures: Path, python: str) -> None:
    """Put the captured `nvidia-smi` into the folder that comes first on a host's PATH."""
    if host.gpu is None:
        return
    folder = Path(host.folder) / "gpu-bin"
    folder.mkdir()
    script = folder / "nvidia-smi"
    script.write_text(f"#!{python} -I\n{_FAKE.read_text(encoding='utf-8')}", encoding="utf-8")
    script.chmod(0o755)
    shutil.copy(captures / f"{host.gpu}.csv", folder / "captured.csv")
    shutil.copy(captures / f"{host.gpu}.txt", folder / "captured.txt")
