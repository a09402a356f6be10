"""Says what keeps a machine from building for a signature, whatever it compiles with."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model.facts import Facts
from orchestrator.model.signature import Accelerator, Signature

_MEMORY_BYTES = {Accelerator.CPU: 2_000_000_000, Accelerator.CUDA: 4_000_000_000}
"""The hungriest single compiler run, with room: cc1plus 2.3 GB, cicc 3.5 GB (DeepSpeed 0.19.8)."""
_DISK_BYTES = {Accelerator.CPU: 1_000_000_000, Accelerator.CUDA: 4_000_000_000}
"""Objects, unstripped libraries and wheel of one build, where builds run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacks:
    """Why a machine cannot do something; at least one reason, each with its values and the fix."""

    reasons: tuple[str, ...]


def find_lacks(machine: Facts, signature: Signature) -> tuple[str, ...]:
    """Return what is wrong with the machine, its Python and its room; empty when it will do. ROCm is not known here."""
    return (*_machine_lacks(machine, signature), *_room_lacks(machine, signature.accelerator))


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


def _room_lacks(machine: Facts, accelerator: Accelerator) -> list[str]:
    lacks = []
    memory, wanted_memory = machine.system.memory_available_bytes, _MEMORY_BYTES[accelerator]
    if memory < wanted_memory:
        lacks.append(f"it has {_gb(memory)} of free memory, a compiler may take {_gb(wanted_memory)}")
    wanted_disk = _DISK_BYTES[accelerator]
    lacks += [
        f"{disk.path} has {_gb(disk.free_bytes)} free, a build takes {_gb(wanted_disk)}"
        for disk in machine.disks
        if disk.role == "cache" and disk.free_bytes < wanted_disk
    ]
    return lacks


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
