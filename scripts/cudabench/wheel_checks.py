"""Reads what a wheel holds, ours or upstream's, and loads every library of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cudabench.errors import BenchError
from cudabench.workplace import ROOT, Interpreter
from orchestrator.audit.wheels import read_wheel
from orchestrator.model.audit import WheelContents

LEAST_OPS = 19
LARGEST_BYTES = 12_000_000
_LOADER = ROOT / "orchestrator" / "build" / "drivers" / "load_ops.py"
_WITH_PIN_MEMORY = ("async_io_op", "gds_op")
"""They take symbols of pin_memory's library (op_builder/pin_memory_load.py, DeepSpeed 0.19)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedWheel:
    """What was found in one wheel."""

    filename: str
    size_bytes: int
    ops: int
    """Compiled libraries in it."""
    gpu_archs: tuple[str, ...]
    """All archs of machine code in any of them."""
    ptx_archs: tuple[str, ...] = ()
    load_errors: Mapping[str, str] = field(default_factory=dict)

    def faults(self, archs: tuple[str, ...]) -> list[str]:
        """Return what is wrong with a wheel that is to hold code for these archs."""
        found = []
        if self.ops < LEAST_OPS:
            found.append(f"{self.ops} ops instead of {LEAST_OPS}")
        if self.gpu_archs != archs or self.ptx_archs:
            found.append(f"code for {', '.join([*self.gpu_archs, *self.ptx_archs]) or 'no GPU'}")
        if self.size_bytes >= LARGEST_BYTES * len(archs):
            found.append(f"{self.size_bytes / 1e6:.1f} MB")
        found += [f"{name}: {error}" for name, error in self.load_errors.items()]
        return found


def check_wheel(wheel: Path, interpreter: Interpreter, driver_stub: Path) -> CheckedWheel:
    """Return what a wheel holds; `driver_stub` stands in for the GPU driver that gds wants to be linked with."""
    contents = read_wheel(wheel)
    return CheckedWheel(
        filename=wheel.name,
        size_bytes=wheel.stat().st_size,
        ops=len(contents.shared_objects),
        gpu_archs=_all(library.gpu_archs for library in contents.shared_objects.values()),
        ptx_archs=_all(library.ptx_archs for library in contents.shared_objects.values()),
        load_errors=load_all(wheel, contents, interpreter, driver_stub),
    )


def _all(archs: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({arch for of_library in archs for arch in of_library}))


def load_all(wheel: Path, contents: WheelContents, interpreter: Interpreter, driver_stub: Path) -> dict[str, str]:
    """Load every library of a wheel in a process of its own beside torch; returns library → error."""
    modules = [path.partition(".")[0].replace("/", ".") for path in contents.shared_objects]
    pin_memory = [module for module in modules if module.endswith(".pin_memory_op")]
    asked = [
        {"op": name, "module": module, "after": pin_memory if name in _WITH_PIN_MEMORY else []}
        for module, name in ((module, module.rpartition(".")[2]) for module in modules)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "libcuda.so.1").symlink_to(driver_stub)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(Path(folder, "build", "lib.wheel"), members=contents.shared_objects)
        done = subprocess.run(
            [interpreter.python, _LOADER, json.dumps(asked)],
            cwd=folder,
            env=os.environ | {"LD_LIBRARY_PATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BenchError(f"{wheel.name}: its libraries could not be tried: {done.stderr[-2000:]}")
    errors: dict[str, str] = json.loads(done.stdout.rpartition("dsdeploy-result ")[2])
    return {name: error for name, error in errors.items() if error}
