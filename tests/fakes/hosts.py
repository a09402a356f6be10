"""What hosts say of themselves that can take the wheels of fakes/wheels.py."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.deployment import Stamp
from orchestrator.model.facts import Facts, InstalledDeepSpeed, Interpreter, System, Tool, Torch
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.wheels import Artifact

SYSTEM = System(
    hostname="worker",
    os="Debian GNU/Linux 12",
    machine="x86_64",
    kernel="6.1.0",
    glibc="2.36",
    glibcxx="3.4.30",
    cpu_model="AMD EPYC",
    cpu_level=CpuLevel.X86_64_V3,
    cpu_cores=8,
    memory_bytes=64_000_000_000,
    memory_available_bytes=60_000_000_000,
)
INTERPRETER = Interpreter(
    requested="python3",
    executable="/opt/venv/bin/python",
    prefix="/opt/venv",
    version="3.11.7",
    abi_tag="cp311",
    platlib="/opt/venv/lib",
    is_writable=True,
    has_headers=True,
    torch=Torch(version="2.13.0+cpu"),
    distributions={"torch": "2.13.0+cpu", "numpy": "2.3.1"},
)


def make_facts(**changes: object) -> Facts:
    values: dict[str, object] = {
        "system": SYSTEM,
        "accelerator": Accelerator.CPU,
        "compilers": (Tool(path="/usr/bin/g++", version="12.2.0"),),
        "interpreter": INTERPRETER,
    }
    return Facts(**{**values, **changes})  # type: ignore[arg-type]


def with_deepspeed(facts: Facts, **changes: object) -> Facts:
    """The facts with a DeepSpeed installed."""
    assert facts.interpreter is not None
    values: dict[str, object] = {"version": "0.19.8+torch2.13.cpu", "location": "/opt/venv/lib", **changes}
    installed = InstalledDeepSpeed(**values)  # type: ignore[arg-type]
    return replace(facts, interpreter=replace(facts.interpreter, deepspeed=installed))


def with_deployment(facts: Facts, artifact: Artifact) -> Facts:
    """The facts after the artifact was committed there, its file still in the cache."""
    assert facts.interpreter is not None
    stamp = Stamp(
        deployment="20260101T000000Z-1",
        prefix=facts.interpreter.prefix,
        build_key=artifact.manifest.build_key,
        wheel_sha256=artifact.sha256,
        version=artifact.manifest.deepspeed_version,
        record_sha256="c" * 64,
        torch_version="2.13.0+cpu",
        committed_at="2026-01-01T00:00:00Z",
        committed_by="u@controller",
    )
    installed = with_deepspeed(facts, version=stamp.version, record_sha256=stamp.record_sha256)
    return replace(installed, stamp=stamp, cached_wheels=(artifact.sha256,))
