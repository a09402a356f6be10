"""Lets a host play a GPU host: a captured `nvidia-smi` answers there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.state import Host

_FAKE = Path(__file__).with_name("fake_nvidia_smi.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuChoice:
    """Which hosts play which captured machine."""

    capture: str
    hosts: tuple[int, ...] | None
    """Indices; None for all."""


def parse_gpu_choice(text: str) -> GpuChoice:
    """Read `h100x8` or `h100x8:0-1,3`. Raises ClusterError."""
    capture, colon, ranges = text.partition(":")
    if not capture or (colon and not ranges):
        raise ClusterError(f"not a choice of GPUs: {text!r}", hint="for example h100x8 or a100x2:0-1,3")
    return GpuChoice(capture=capture, hosts=_parse_ranges(ranges) if colon else None)


def _parse_ranges(text: str) -> tuple[int, ...]:
    indices: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise ClusterError(f"not host numbers: {text!r}", hint="for example 0-1,3")
        indices += range(int(first), int(last or first) + 1)
    return tuple(indices)


def find_gpu(choices: Iterable[GpuChoice], index: int) -> str | None:
    """Return the capture that a host plays; the last choice that names it wins."""
    found = [choice.capture for choice in choices if choice.hosts is None or index in choice.hosts]
    return found[-1] if found else None


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
