"""What an nvcc gets along with: torch, GPU archs, and the C++ compiler that it gives the host code to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from packaging.version import Version

from orchestrator.model.facts import Tool
from orchestrator.planning.archs import archs_unknown_to, lowest_cuda

_NEWEST_GCC = (
    ("11.0", 9),
    ("11.1", 10),
    ("11.4", 11),
    ("12.0", 12),
    ("12.4", 13),
    ("12.8", 14),
    ("13.0", 15),
    ("13.4", 16),
)
_NEWEST_CLANG = (
    ("11.0", 9),
    ("11.1", 10),
    ("11.2", 11),
    ("11.4", 12),
    ("11.6", 13),
    ("11.8", 14),
    ("12.1", 15),
    ("12.2", 16),
    ("12.4", 17),
    ("12.6", 18),
    ("12.8", 19),
    ("13.0", 20),
    ("13.1", 21),
)
"""The newest major version that a CUDA accepts, from which CUDA on; one that is not listed is taken for the row before.

As crt/host_config.h checks it (CUDA Installation Guide for Linux, "Host Compiler Support Policy"; the same numbers are
in spack's build_systems/cuda.py). The oldest accepted, GCC 6 and clang 7, are older than what torch's headers compile
with. The file of 13.0 itself says `__GNUC__ > 15` and `__clang_major__ >= 21`.
"""
_INTERCHANGEABLE = (
    frozenset({"11.0", "11.1", "11.2", "11.3", "11.4", "11.5", "11.6", "11.7", "11.8"}),
    frozenset({"12.0", "12.1", "12.2", "12.3", "12.4", "12.5", "12.6", "12.8", "12.9"}),
)
"""Where DeepSpeed takes one CUDA for another: `cuda_minor_mismatch_ok` (op_builder/builder.py, 0.19.8)."""


def major_minor(version: str) -> str:
    """Return a toolkit's name: `13.0.88` → `13.0`."""
    return ".".join(version.split(".")[:2])


def fault_of_nvcc(nvcc_version: str, torch_cuda: str, *, skips_cuda_check: bool) -> str | None:
    """Return why an nvcc cannot build for a torch of a CUDA (`13.0`), with the fix; None when it can.

    The major must be equal: torch/utils/cpp_extension.py refuses all else, whatever is skipped. The minor is
    DeepSpeed's own rule (assert_no_cuda_mismatch); `skips_cuda_check` is its DS_SKIP_CUDA_CHECK.
    """
    toolkit, major = major_minor(nvcc_version), _major(torch_cuda)
    mismatch = f"its nvcc is {nvcc_version}, torch is built for CUDA {torch_cuda}"
    if _major(toolkit) != major:
        return f"{mismatch}: {_install(torch_cuda)}"
    if skips_cuda_check or _is_taken_for(toolkit, torch_cuda):
        return None
    wish = f"of CUDA {major} DeepSpeed takes the same minor only"
    return f"{mismatch}, and {wish}: {_install(torch_cuda)}, or write `skip_cuda_check: true` in the recipe"


def faults_of_archs(
    nvcc_version: str, torch_cuda: str, wanted: Sequence[str], *, listed: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return why an nvcc makes no code for some of the wanted archs, with the fix; empty when it knows them all.

    `listed` is what this nvcc lists itself.
    """
    faults = []
    for unknown in archs_unknown_to(nvcc_version, wanted, listed=listed):
        first = lowest_cuda(unknown.arch)
        is_to_come = first is not None and Version(first) > Version(major_minor(nvcc_version))
        torch_fix = f"hosts with {unknown.arch} need a torch that is built for another CUDA"
        fix = _install(first) if first and is_to_come and _is_taken_for(first, torch_cuda) else torch_fix
        faults.append(f"nvcc {nvcc_version} makes no code for {unknown.arch} ({unknown.reason}): {fix}")
    return tuple(faults)


def fault_of_compiler(nvcc_version: str, compiler: Tool) -> str | None:
    """Return why an nvcc does not take a working C++ compiler for its host code, with the fix; None when it does."""
    assert compiler.version is not None
    if is_clang(compiler):
        word, package, newest = "clang", "clang", _newest(_NEWEST_CLANG, nvcc_version)
    else:
        word, package, newest = "GCC", "g++", _newest(_NEWEST_GCC, nvcc_version)
    if _major(compiler.version) <= newest:
        return None
    limit = f"nvcc {major_minor(nvcc_version)} accepts {word} {newest} at most"
    return f"{limit}, {compiler.path} is {compiler.version}: apt install {package}-{newest}"


def is_clang(compiler: Tool) -> bool:
    """Tell whether a C++ compiler is clang, by its name; any other counts as GCC."""
    return "clang" in PurePosixPath(compiler.path).name


def _is_taken_for(toolkit: str, torch_cuda: str) -> bool:
    return toolkit == torch_cuda or any({toolkit, torch_cuda} <= known for known in _INTERCHANGEABLE)


def _install(cuda: str) -> str:
    return f"install the toolkit of CUDA {cuda} and let CUDA_HOME name it"


def _newest(table: Sequence[tuple[str, int]], nvcc_version: str) -> int:
    """Look a CUDA up; one older than the table is taken for its first row."""
    known = [newest for cuda, newest in table if Version(cuda) <= Version(nvcc_version)]
    return known[-1] if known else table[0][1]


def _major(version: str) -> int:
    return int(version.partition(".")[0])
