"""Says what a machine lacks to compile for a signature."""

from __future__ import annotations

from pathlib import PurePosixPath

from orchestrator.model.facts import Facts, Tool
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.planning.cpu import compile_flags

_MEMORY_BYTES = {Accelerator.CPU: 2_000_000_000, Accelerator.CUDA: 4_000_000_000}
"""The hungriest single compiler run, with room: cc1plus 2.3 GB, cicc 3.5 GB (DeepSpeed 0.19.8)."""
_DISK_BYTES = {Accelerator.CPU: 1_000_000_000, Accelerator.CUDA: 4_000_000_000}
"""Objects, unstripped libraries and wheel of one build, where builds run."""


def find_lacks(machine: Facts, signature: Signature) -> tuple[str, ...]:
    """Return everything that keeps a machine from compiling for the signature; empty when it can."""
    if signature.accelerator is Accelerator.ROCM:
        return ("ROCm wheels cannot be built yet",)
    return (*_machine_lacks(machine, signature), *_tool_lacks(machine, signature), *_room_lacks(machine, signature))


def _machine_lacks(machine: Facts, signature: Signature) -> list[str]:
    lacks = []
    if machine.system.machine != signature.machine:
        lacks.append(f"it is {machine.system.machine}, not {signature.machine}")
    interpreter = machine.interpreter
    if interpreter is None:
        lacks.append(machine.interpreter_error or "it has no interpreter")
    elif interpreter.abi_tag != signature.python_tag:
        lacks.append(f"its Python is {interpreter.abi_tag}, not {signature.python_tag}")
    elif not interpreter.has_headers:
        lacks.append(f"{interpreter.executable} has no Python.h: apt install python3-dev")
    return lacks


def _tool_lacks(machine: Facts, signature: Signature) -> list[str]:
    lacks = []
    if not any(_is_new_enough(tool, signature.cpu_level) for tool in machine.compilers):
        found = ", ".join(f"{tool.path} {tool.version or tool.error}" for tool in machine.compilers) or "none"
        wanted = _oldest_gcc(signature.cpu_level)
        lacks.append(f"it has no C++ compiler like GCC {wanted} or newer (found: {found}): apt install g++")
    if signature.accelerator is Accelerator.CUDA:
        lacks += _nvcc_lacks(machine.nvcc, signature.torch_cuda or "0")
    return lacks


def _nvcc_lacks(nvcc: Tool | None, torch_cuda: str) -> list[str]:
    if nvcc is None or nvcc.version is None:
        return ["it has no working nvcc"]
    if _major(nvcc.version) != _major(torch_cuda):
        return [f"its nvcc is {nvcc.version}, torch is built for CUDA {torch_cuda}"]
    return []


def _oldest_gcc(level: CpuLevel) -> int:
    """PyTorch's headers want GCC 9 (torch/utils/cpp_extension.py); `-march=x86-64-v2` and above came with GCC 11."""
    return 11 if "x86-64-v" in (compile_flags(level).march or "") else 9


def _is_new_enough(tool: Tool, level: CpuLevel) -> bool:
    if tool.version is None:
        return False
    is_clang = "clang" in PurePosixPath(tool.path).name
    oldest = 12 if is_clang else _oldest_gcc(level)  # clang 12 was the first with x86-64-v2
    return _major(tool.version) >= oldest


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _room_lacks(machine: Facts, signature: Signature) -> list[str]:
    lacks = []
    memory, wanted_memory = machine.system.memory_available_bytes, _MEMORY_BYTES[signature.accelerator]
    if memory < wanted_memory:
        lacks.append(f"it has {_gb(memory)} of free memory, a compiler may take {_gb(wanted_memory)}")
    wanted_disk = _DISK_BYTES[signature.accelerator]
    lacks += [
        f"{disk.path} has {_gb(disk.free_bytes)} free, a build takes {_gb(wanted_disk)}"
        for disk in machine.disks
        if disk.role == "cache" and disk.free_bytes < wanted_disk
    ]
    return lacks


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
