"""What build tests act through: this machine as the builder, the configured package index, orders made by hand."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.tasks import Task
from orchestrator.model.events import Event
from orchestrator.model.ops import OpDecision, OpSpec, OpVerdict
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.model.wheels import make_build_key
from orchestrator.ports import PackageFile, PackageIndex, Remote
from orchestrator.store.compile_history import FileHistory
from orchestrator.store.op_libraries import FolderOpCache

PYTHON_TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
SIGNATURE = Signature(
    accelerator=Accelerator.CPU,
    torch_version="2.13.0+cpu",
    python_tag=PYTHON_TAG,
    machine=platform.machine(),
    cpu_level=CpuLevel.X86_64_V3,
    glibc="2.36",
    glibcxx="3.4.30",
)
TOOLCHAIN = Toolchain(
    kind=ToolchainKind.HOST, reason="the tests' own", cxx=str(shutil.which("g++")), cxx_version="12.2.0"
)


@dataclass(frozen=True)
class EventList:
    """A reporter that remembers."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)


def make_spec(name: str, **changes: object) -> OpSpec:
    values = {"name": name, "build_variable": f"DS_BUILD_{name.upper()}", "accelerator": Accelerator.CPU}
    return OpSpec(**{**values, **changes})  # type: ignore[arg-type]


def make_task(label: str, **changes: object) -> Task:
    values: dict[str, object] = {
        "label": label,
        "argv": ("g++", label),
        "target": f"{label}.o",
        "ops": ("op",),
        "cpu_s": 30.0,
        "memory_bytes": 1 << 30,
        "history_key": label,
    }
    return Task(**{**values, **changes})  # type: ignore[arg-type]


SPECS = (
    make_spec("cpu_adam"),
    make_spec("async_io", depends_on=("pin_memory",), compile_cpu_s=100.0),
    make_spec("pin_memory"),
    make_spec("not_implemented", is_empty=True),
)
"""The ops of tiny_deepspeed."""


def make_order(
    *, specs: tuple[OpSpec, ...] = SPECS, skipped: Mapping[str, str] | None = None, **changes: object
) -> BuildOrder:
    """Return an order for all ops of `specs` but those in `skipped` (op → reason)."""
    reasons = skipped or {}
    recipe = Recipe(name="tiny", source=Source(kind=SourceKind.VERSION, value="0.19.8"))
    values: dict[str, object] = {
        "signature": SIGNATURE,
        "recipe": recipe,
        "build_key": make_build_key(SIGNATURE, recipe),
        "decisions": tuple(_decide(spec, reasons.get(spec.name)) for spec in specs),
        "specs": specs,
        "toolchain": TOOLCHAIN,
        "python": sys.executable,
        "cores": 2,
        "memory_bytes": 8_000_000_000,
    }
    return BuildOrder(**{**values, **changes})  # type: ignore[arg-type]


def order_for(tree: Path, order: BuildOrder) -> BuildOrder:
    """Return the order with a folder as its source."""
    source = Source(kind=SourceKind.FOLDER, value=str(tree))
    return replace(order, recipe=replace(order.recipe, source=source))


def make_tools(folder: Path, *, remote: Remote, index: PackageIndex) -> BuildTools:
    return BuildTools(
        remote=remote,
        index=index,
        reporter=EventList(),
        read_wheel=read_wheel,
        folder=folder / "wheels",
        logs=folder / "logs",
        cache=folder / "cache",
        toolchains={},
        op_cache=FolderOpCache(folder / "cache" / "ops"),
        history=FileHistory(folder / "cache" / "history.json"),
        clock=time.monotonic,
    )


def _decide(spec: OpSpec, reason: str | None) -> OpDecision:
    return OpDecision(
        op=spec.name,
        build_variable=spec.build_variable,
        verdict=OpVerdict.SKIP if reason else OpVerdict.BUILD,
        reason=reason or "",
    )


def file_of(path: Path) -> PackageFile:
    return PackageFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
