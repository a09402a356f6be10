"""The rules of NVIDIA's GPU archs: what runs where, which toolkit makes it, and how torch's build is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.version import Version

from orchestrator.model.recipe import PtxPolicy
from orchestrator.planning.gpu_archs import GPU_ARCHS, LETTER_SINCE, GpuArch

_ARCH = re.compile(r"(?:sm|compute)_(?P<major>\d+)(?P<minor>\d)(?P<letter>[af]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownArch:
    """An arch that an nvcc makes no code for."""

    arch: str
    reason: str
    """`CUDA 12.8 was the first that makes code for sm_120`."""


def arch_of(compute_capability: str) -> str:
    """Return the arch of a compute capability: `9.0` → `sm_90`."""
    return "sm_" + compute_capability.replace(".", "")


def is_cuda(arch: str) -> bool:
    """Tell whether this names an arch of NVIDIA, like `sm_90` or `compute_90`."""
    return _ARCH.fullmatch(arch) is not None


def arch_list(archs: Sequence[str], ptx: PtxPolicy) -> str:
    """Return the text of `TORCH_CUDA_ARCH_LIST`: `sm_80`, `sm_90a` → `8.0;9.0a` (torch/utils/cpp_extension.py).

    Only DeepSpeed reads it, as its builders give nvcc the archs themselves. Raises ValueError for what is no CUDA arch.
    """
    virtual = ptx_archs(archs, ptx)
    words = (
        f"{major}.{minor}{letter}" + ("+PTX" if f"compute_{major}{minor}{letter}" in virtual else "")
        for major, minor, letter in sorted({_parse(arch) for arch in archs})
    )
    return ";".join(words)


def ptx_archs(archs: Iterable[str], ptx: PtxPolicy) -> tuple[str, ...]:
    """Return the virtual archs whose PTX goes into a wheel for these archs: `compute_90`, or none.

    NEWEST is the highest arch without a letter, as PTX with one serves no GPU that comes later; with letters only, the
    highest. Raises ValueError for what is no CUDA arch.
    """
    parsed = {_parse(arch) for arch in archs}
    if ptx is PtxPolicy.NEVER or not parsed:
        return ()
    major, minor, letter = max(parsed, key=lambda arch: (arch[2] == "", arch))
    return (f"compute_{major}{minor}{letter}",)


def runs_on(code: str, gpu: str) -> bool:
    """Tell whether a GPU runs machine code of an arch: `sm_80` on `sm_86`.

    Within a major version code runs on equal and higher minors (CUDA C++ Programming Guide, "Binary Compatibility"),
    but not between Tegra and other GPUs. The letter a binds it to its own arch, f to the later archs of its family
    ("Feature Set Compatibility"). What is no CUDA arch, like `gfx942`, runs on itself only.
    """
    if not (is_cuda(code) and is_cuda(gpu)):
        return code == gpu
    if _number(code) == _number(gpu):
        return True
    is_within_major = _number(code)[0] == _number(gpu)[0]
    is_apart = any(row.is_integrated for arch in (code, gpu) if (row := _row(arch)))
    return is_within_major and not is_apart and _runs_later(code, gpu)


def ptx_runs_on(virtual: str, gpu: str) -> bool:
    """Tell whether a GPU's driver can compile PTX of a virtual arch: `compute_80` on `sm_120`.

    Plain PTX runs on equal and newer archs; `compute_90a` on its own only, `compute_100f` on its own and the later ones
    of its family (`ptxas --help`, CUDA 13.0, option `--gpu-name`). The driver must be new enough for the toolkit.
    """
    if not (is_cuda(virtual) and is_cuda(gpu)):
        return False
    return _number(virtual) == _number(gpu) or _runs_later(virtual, gpu)


def is_below(arch: str, minimum: str) -> bool:
    """Tell whether an arch is lower than another, by number: `sm_90` is below `sm_100`; what is no CUDA arch never."""
    return is_cuda(arch) and is_cuda(minimum) and _number(arch) < _number(minimum)


def lowest_cuda(arch: str) -> str | None:
    """Return the first CUDA toolkit (major.minor) that makes code for an arch; None when none is known."""
    row = _row(arch)
    return row if row is None else max(row.first, LETTER_SINCE[_parse(arch)[2]], key=Version)


def archs_unknown_to(cuda: str, wanted: Iterable[str], *, listed: Sequence[str] = ()) -> tuple[UnknownArch, ...]:
    """Return the archs that a CUDA toolkit's nvcc makes no code for; empty: it knows them all.

    `cuda` is its version, of which major.minor counts; `listed` is what that nvcc lists itself (`--list-gpu-code`,
    which leaves out the archs with letters): an arch in it is known, and one left out of it is not.
    """
    found = ((arch, _fault_of(arch, cuda, listed)) for arch in dict.fromkeys(wanted))
    return tuple(UnknownArch(arch=arch, reason=reason) for arch, reason in found if reason)


def _fault_of(arch: str, cuda: str, listed: Sequence[str]) -> str | None:
    """Return why an nvcc makes no code for an arch; None when it does."""
    row, first, version = _row(arch), lowest_cuda(arch), Version(cuda)
    if arch in listed:
        return None
    if row is None or first is None:
        return f"no CUDA toolkit is known to make code for {arch}"
    if row.last and version.release[:2] > Version(row.last).release:
        now = f", which is {row.renamed} since" if row.renamed else ""
        return f"CUDA {row.last} was the last that makes code for {row.name}{now}"
    if version < Version(first):
        return f"CUDA {first} was the first that makes code for {arch}"
    return f"this nvcc of CUDA {cuda} leaves out {row.name}" if listed and row.name not in listed else None


def _runs_later(code: str, gpu: str) -> bool:
    """Whether code may run on a later arch than its own, as far as its letter is concerned."""
    letter = _parse(code)[2]
    if letter == "f":
        mine, other = _row(code), _row(gpu)
        return bool(mine and other and mine.family == other.family) and _number(code) < _number(gpu)
    return letter == "" and _number(code) < _number(gpu)


def _row(arch: str) -> GpuArch | None:
    """Return what is known of an arch; None for what has no such letter, too."""
    if not is_cuda(arch):
        return None
    major, minor, letter = _parse(arch)
    row = GPU_ARCHS.get(f"sm_{major}{minor}")
    return row if row and letter in ("", *row.letters) else None


def _number(arch: str) -> tuple[int, int]:
    return _parse(arch)[:2]


def _parse(arch: str) -> tuple[int, int, str]:
    match = _ARCH.fullmatch(arch)
    if match is None:
        raise ValueError(f"{arch!r} is no CUDA arch like sm_90")
    return int(match["major"]), int(match["minor"]), match["letter"]
