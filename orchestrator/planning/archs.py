"""Turns compute capabilities into GPU archs, and archs into what torch's build reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.model.recipe import PtxPolicy

_ARCH = re.compile(r"sm_(?P<major>\d+)(?P<minor>\d)(?P<only>[af]?)")


def arch_of(compute_capability: str) -> str:
    """Return the arch of a compute capability: `9.0` → `sm_90`."""
    return "sm_" + compute_capability.replace(".", "")


def arch_list(archs: Sequence[str], ptx: PtxPolicy) -> str:
    """Return the text of `TORCH_CUDA_ARCH_LIST`: `sm_80`, `sm_90a` → `8.0;9.0a` (torch/utils/cpp_extension.py).

    NEWEST adds PTX of the highest arch. Raises ValueError for what is no CUDA arch.
    """
    ordered = sorted(archs, key=_parse)
    words = ["{}.{}{}".format(*_parse(arch)) for arch in ordered]
    if words and ptx is PtxPolicy.NEWEST:
        words[-1] += "+PTX"
    return ";".join(words)


def runs_on(code: str, gpu: str) -> bool:
    """Tell whether a GPU runs machine code of an arch, both like `sm_90`.

    Within a major version code runs on equal and higher minors; the letter a binds it to its own arch
    (CUDA C++ Programming Guide, "Binary Compatibility"). AMD's code runs on its own arch only.
    """
    if code == gpu:
        return True
    if not (_ARCH.fullmatch(code) and _ARCH.fullmatch(gpu)):
        return False
    code_major, code_minor, code_only = _parse(code)
    gpu_major, gpu_minor, _ = _parse(gpu)
    if code_only == "a":
        return (code_major, code_minor) == (gpu_major, gpu_minor)
    return code_major == gpu_major and code_minor <= gpu_minor


def _parse(arch: str) -> tuple[int, int, str]:
    match = _ARCH.fullmatch(arch)
    if match is None:
        raise ValueError(f"{arch!r} is no CUDA arch like sm_90")
    return int(match["major"]), int(match["minor"]), match["only"]
