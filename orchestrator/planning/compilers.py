"""Chooses the C++ compiler of a build."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.model.facts import Tool
from orchestrator.model.signature import CpuLevel
from orchestrator.planning.cpu import compile_flags
from orchestrator.planning.lacks import Lacks
from orchestrator.planning.nvcc import fault_of_compiler, is_clang


def choose_compiler(compilers: Sequence[Tool], level: CpuLevel, nvcc_version: str | None) -> Tool | Lacks:
    """Return the first compiler that is new enough for the CPU level and that the nvcc, if any, accepts."""
    new_enough = [tool for tool in compilers if _is_new_enough(tool, level)]
    if not new_enough:
        found = ", ".join(f"{tool.path} {tool.version or tool.error}" for tool in compilers) or "none"
        wanted = f"C++ compiler like GCC {_oldest_gcc(level)} or newer"
        return Lacks(reasons=(f"it has no {wanted} (found: {found}): apt install g++",))
    if nvcc_version is None:
        return new_enough[0]
    faults = []
    for tool in new_enough:
        fault = fault_of_compiler(nvcc_version, tool)
        if fault is None:
            return tool
        faults.append(fault)
    return Lacks(reasons=tuple(faults))


def _is_new_enough(tool: Tool, level: CpuLevel) -> bool:
    if tool.version is None:
        return False
    oldest = 12 if is_clang(tool) else _oldest_gcc(level)  # clang 12 was the first with x86-64-v2
    return int(tool.version.partition(".")[0]) >= oldest


def _oldest_gcc(level: CpuLevel) -> int:
    """PyTorch's headers want GCC 9 (torch/utils/cpp_extension.py); `-march=x86-64-v2` and above came with GCC 11."""
    return 11 if "x86-64-v" in (compile_flags(level).march or "") else 9
