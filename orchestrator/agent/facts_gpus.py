"""Which GPUs this machine has, from their vendors' own tools: nvidia-smi, rocminfo, amd-smi."""

from __future__ import annotations

import json
import os
import re
import shutil

from .errors import AgentError
from .processes import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .processes import Children

    Gpu = dict[str, Any]

_TIMEOUT_S = 10.0
_MIB = 1024 * 1024
_FIELDS = ("index", "name", "memory.total", "driver_version", "uuid")
_CAPABILITIES = (
    (r"B200|B300|GB200|GB300", "10.0"),
    (r"H100|H200|H800|H20\b|GH200", "9.0"),
    (r"L4\b|L40|RTX 40\d\d|RTX \d000 Ada", "8.9"),
    (r"A10\b|A10G|A40\b|A16\b|A2\b|RTX 30\d\d|RTX A\d000", "8.6"),
    (r"A100|A800|A30\b", "8.0"),
    (r"T4\b|RTX 20\d\d|Quadro RTX", "7.5"),
    (r"V100|TITAN V", "7.0"),
    (r"P40\b|P4\b|GTX 10\d\d|TITAN Xp", "6.1"),
    (r"P100", "6.0"),
)
"""Compute capability by name (NVIDIA's list of CUDA GPUs), for drivers before 510, which cannot be asked."""


class Gpus:
    """What was found; `accelerator` is a value of the model's `Accelerator`."""

    def __init__(self, accelerator: str, gpus: list[Gpu], notes: list[str]) -> None:
        self.accelerator = accelerator
        self.gpus = gpus
        self.notes = notes


def find_gpus(children: Children) -> Gpus:
    """Ask each vendor's tool that is there; one that fails or hangs leaves a note."""
    notes: list[str] = []
    for accelerator, ask in (("cuda", _nvidia), ("rocm", _amd)):
        try:
            gpus = ask(children)
        except AgentError as error:
            notes.append(error.message)
            continue
        if gpus:
            unknown = {gpu["name"] for gpu in gpus if not gpu["compute_capability"] and not gpu["gfx"]}
            notes.extend(f"the GPU architecture of {name} is not known" for name in sorted(unknown))
            return Gpus(accelerator, gpus, notes)
    return Gpus("cpu", [], notes)


def _nvidia(children: Children) -> list[Gpu]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, f"--query-gpu={','.join((*_FIELDS, 'compute_cap'))}", "--format=csv,noheader,nounits"]
    try:
        return parse_nvidia_smi(capture(children, query, _TIMEOUT_S))
    except AgentError as error:
        if "compute_cap" not in error.message:
            raise
    query[1] = f"--query-gpu={','.join(_FIELDS)}"
    return parse_nvidia_smi(capture(children, query, _TIMEOUT_S))


def parse_nvidia_smi(text: str) -> list[Gpu]:
    """Return the GPUs in nvidia-smi's CSV; the last column, compute_cap, may be missing."""
    rows = [[word.strip() for word in line.split(",")] for line in text.splitlines()]
    return [_nvidia_gpu(row) for row in rows if len(row) >= len(_FIELDS) and row[0].isdigit()]


def _nvidia_gpu(row: list[str]) -> Gpu:
    index, name, memory_mib, driver, uuid = row[: len(_FIELDS)]
    said = row[len(_FIELDS)] if len(row) > len(_FIELDS) else ""
    return {
        "index": int(index),
        "name": name,
        "compute_capability": said if re.fullmatch(r"\d+\.\d+", said) else capability_by_name(name),
        "gfx": None,
        "memory_bytes": int(memory_mib) * _MIB if memory_mib.isdigit() else None,
        "driver": driver,
        "uuid": uuid,
    }


def capability_by_name(name: str) -> str | None:
    """Return the compute capability of a GPU's name; None when we do not know it."""
    return next((capability for pattern, capability in _CAPABILITIES if re.search(pattern, name)), None)


def _amd(children: Children) -> list[Gpu]:
    rocminfo = _rocm_program("rocminfo")
    if rocminfo is not None:
        return parse_rocminfo(capture(children, [rocminfo], _TIMEOUT_S))
    amd_smi = _rocm_program("amd-smi")
    if amd_smi is not None:
        return parse_amd_smi(
            capture(children, [amd_smi, "static", "--asic", "--vram", "--driver", "--json"], _TIMEOUT_S)
        )
    return []


def _rocm_program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.path.join(os.environ.get("ROCM_PATH", "/opt/rocm"), "bin"))


def parse_rocminfo(text: str) -> list[Gpu]:
    """Return the GPU agents in rocminfo's text; its first memory pool is the GPU's own memory."""
    gpus: list[Gpu] = []
    for agent in re.split(r"^\*+\s*\nAgent \d+\s*\n\*+\s*$", text, flags=re.MULTILINE)[1:]:
        if _word(agent, r"^  Device Type:\s*(.+)$") != "GPU":
            continue
        pool = _word(agent, r"^      Size:\s*(\d+)")
        gfx = _word(agent, r"^  Name:\s*(gfx\w+)")
        name = _word(agent, r"^  Marketing Name:[ \t]*(\S.*)$") or gfx or "AMD GPU"
        gpus.append(_amd_gpu(len(gpus), name, gfx, int(pool) * 1024 if pool else None))
        gpus[-1]["uuid"] = _word(agent, r"^  Uuid:\s*(GPU-\w+)")
    return gpus


def parse_amd_smi(text: str) -> list[Gpu]:
    """Return the GPUs in the JSON of `amd-smi static`: a list, or since ROCm 7 an object around it."""
    start = min((at for at in (text.find("["), text.find("{")) if at >= 0), default=len(text))
    try:
        document = json.loads(text[start:])
    except ValueError as error:
        raise AgentError("host", f"amd-smi said no JSON: {text[:80]!r}") from error
    entries = document.get("gpu_data", []) if isinstance(document, dict) else document
    return [_amd_smi_gpu(entry) for entry in entries]


def _amd_smi_gpu(entry: dict[str, Any]) -> Gpu:
    asic = entry.get("asic", {})
    size = entry.get("vram", {}).get("size")
    mib = size.get("value") if isinstance(size, dict) else None
    gfx = asic.get("target_graphics_version") or None
    gpu = _amd_gpu(int(entry.get("gpu", 0)), asic.get("market_name") or "AMD GPU", gfx, mib and int(mib) * _MIB)
    gpu["driver"] = entry.get("driver", {}).get("version")
    return gpu


def _amd_gpu(index: int, name: str, gfx: str | None, memory_bytes: int | None) -> Gpu:
    return {
        "index": index,
        "name": name,
        "compute_capability": None,
        "gfx": gfx,
        "memory_bytes": memory_bytes,
        "driver": None,
        "uuid": None,
    }


def _word(text: str, pattern: str) -> str | None:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else None
