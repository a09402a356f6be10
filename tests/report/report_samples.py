"""Values that the report's tests draw, and a way to see what is drawn."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from orchestrator.errors import ExitCode
from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.facts import Disk, Facts, Gpu, InstalledDeepSpeed, Interpreter, System, Tool, Torch
from orchestrator.model.fanout import FanOutReport, Topology
from orchestrator.model.ops import OpDecision, OpVerdict
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.model.plan import Builder, DeployPlan, HostPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.timings import BuildTimings, Span
from orchestrator.model.verification import CheckState, OpCheck, OpReport, Verification
from orchestrator.model.wheels import Artifact, BuildKey, Manifest, OpRecord, Sha256

RECIPE = Recipe(name="cpu-training", source=Source(kind=SourceKind.VERSION, value="0.19.8"))
SIGNATURE = Signature(
    accelerator=Accelerator.CPU,
    torch_version="2.13.0+cpu",
    python_tag="cp311",
    machine="x86_64",
    cpu_level=CpuLevel.X86_64_V3,
    glibc="2.36",
    glibcxx="3.4.30",
)
KEY = BuildKey("k" * 32)
CPU_OPS = ("cpu_adam", "cpu_adagrad", "cpu_lion", "fused_adam", "deepspeed_shm_comm", "pin_memory", "async_io")


def drawn(renderable: RenderableType, *, width: int = 100, encoding: str = "utf-8") -> str:
    """What a file of that encoding holds when this is printed as a table is."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    Console(file=file, width=width, color_system=None).print(renderable)
    return raw.getvalue().decode(encoding)


def make_gpu(index: int) -> Gpu:
    return Gpu(index=index, name="NVIDIA H100 80GB HBM3", compute_capability="9.0", driver="580.65.06")


def make_facts(
    *, torch: str = "2.13.0+cpu", gpus: int = 0, free_bytes: int = 40_000_000_000, notes: tuple[str, ...] = ()
) -> Facts:
    return Facts(
        system=System(
            hostname="worker-0",
            os="Debian GNU/Linux 12",
            machine="x86_64",
            kernel="6.1.0",
            glibc="2.36",
            glibcxx="3.4.30",
            cpu_model="AMD EPYC 7763 64-Core Processor",
            cpu_level=CpuLevel.X86_64_V3,
            cpu_cores=64,
            memory_bytes=512 * 1024**3,
            memory_available_bytes=500 * 1024**3,
        ),
        accelerator=Accelerator.CUDA if gpus else Accelerator.CPU,
        gpus=tuple(map(make_gpu, range(gpus))),
        nvcc=Tool(path="/usr/local/cuda/bin/nvcc", version="13.0.88") if gpus else None,
        compilers=(Tool(path="/usr/bin/g++", version="12.2.0"),),
        ninja=Tool(path="/usr/bin/ninja", error="must run as root"),
        has_libaio=True,
        disks=(Disk(role="cache", path="/home/ml/.cache", free_bytes=free_bytes),),
        interpreter=Interpreter(
            requested="python3",
            executable="/opt/venv/bin/python",
            prefix="/opt/venv",
            version="3.11.7",
            abi_tag="cp311",
            platlib="/opt/venv/lib/python3.11/site-packages",
            is_writable=True,
            has_headers=True,
            torch=Torch(version=torch, cuda="13.0" if gpus else None),
            deepspeed=InstalledDeepSpeed(version="0.19.8", location="/opt/venv", installed_ops={"cpu_adam": True}),
        ),
        notes=notes,
    )


def make_plan() -> DeployPlan:
    skipped = [
        OpDecision(op=op, build_variable="", verdict=OpVerdict.SKIP, reason="needs nvcc, which the builder lacks")
        for op in ("fused_lamb", "quantizer")
    ]
    refused = OpDecision(op="ccl_comm", build_variable="", verdict=OpVerdict.REFUSE, reason="oneCCL is not there")
    built = [OpDecision(op=op, build_variable="", verdict=OpVerdict.BUILD) for op in CPU_OPS]
    wheel = WheelPlan(
        signature=SIGNATURE,
        build_key=KEY,
        verdict=WheelVerdict.BUILD,
        reason="the store has no wheel for this signature and recipe",
        hosts=("worker-0", "worker-1", "worker-2"),
        builder=Builder(host=None, reason="its toolchain is complete"),
        ops=(*built, *skipped, refused),
    )
    install = [
        HostPlan(host=host, verdict=HostVerdict.INSTALL, reason="DeepSpeed is not installed", build_key=KEY)
        for host in ("worker-0", "worker-1")
    ]
    keep = HostPlan(host="worker-2", verdict=HostVerdict.KEEP, reason="it has this wheel", build_key=KEY)
    reject = HostPlan(host="worker-3", verdict=HostVerdict.REJECT, reason="no torch", hint="install torch")
    return DeployPlan(recipe=RECIPE, hosts=(*install, keep, reject), wheels=(wheel,))


def make_accepted_plan() -> DeployPlan:
    """A plan that rejects no host."""
    plan = make_plan()
    return replace(plan, hosts=plan.hosts[:-1])


def make_artifact() -> Artifact:
    built = OpRecord(
        name="cpu_adam", is_built=True, sha256="c" * 64, size_bytes=310_000, glibc="2.34", glibcxx="3.4.29"
    )
    skipped = OpRecord(name="ccl_comm", is_built=False, reason="oneCCL is not there")
    manifest = Manifest(
        build_key=KEY,
        signature=SIGNATURE,
        recipe="cpu-training",
        recipe_digest="d" * 64,
        source=RECIPE.source,
        source_sha256="e" * 64,
        deepspeed_version="0.19.8+torch2.13.cpu",
        ops=(built, skipped),
        compilers={"g++": "g++ (Debian 12.2.0-14) 12.2.0"},
        flags={"march": "x86-64-v3", "simd": "__AVX256__"},
        glibc="2.34",
        glibcxx="3.4.29",
    )
    return Artifact(
        sha256=Sha256("ab" * 32), filename="deepspeed-0.19.8-x.whl", size_bytes=2_700_000, manifest=manifest
    )


def make_verification(
    *, ops: tuple[str, ...] = CPU_OPS, bad: dict[str, CheckState] | None = None, text: str = "signal 4 (SIGILL)"
) -> Verification:
    states = dict.fromkeys(ops, CheckState.LOADED) | {"cpu_adam": CheckState.RAN} | (bad or {})
    checks = [
        OpCheck(op=op, state=state, text="" if state.is_good else text) for op, state in states.items() if op in ops
    ]
    return Verification(checks=tuple(checks), report=OpReport())


def make_fan_out_report(**changes: object) -> FanOutReport:
    """20 MB through a chain of 32 hosts."""
    hosts = [f"worker-{number}" for number in range(32)]
    values: dict[str, object] = {
        "elapsed_s": 3.9,
        "lacked_bytes": 20_000_000,
        "controller_bytes": 20_000_000,
        "peer_bytes": 620_000_000,
        "fastest_bytes_per_s": 6_000_000.0,
        "topology": Topology(parents=dict(zip(hosts, [None, *hosts], strict=False))),
    }
    return FanOutReport(**{**values, **changes})  # type: ignore[arg-type]


def failed(host: str, message: str, *, hint: str | None = None) -> Outcome[object]:
    return Outcome(host=host, failure=Failure(message=message, hint=hint, exit_code=ExitCode.HOST))


def make_span(source: str = "csrc/adam/cpu_adam.cpp", **changes: object) -> Span:
    """A compiler run."""
    values: dict[str, object] = {"op": "cpu_adam", "source": source, "start_s": 0.0, "elapsed_s": 10.0, "cpu_s": 9.5}
    return Span(**{**values, **changes})  # type: ignore[arg-type]


def make_timings(*spans: Span, **changes: object) -> BuildTimings:
    values: dict[str, object] = {"wheel": SIGNATURE.label, "cores": 2, "memory_bytes": 8 * 1024**3, "elapsed_s": 60.0}
    return BuildTimings(**{**values, "spans": spans, **changes})  # type: ignore[arg-type]


def make_results() -> tuple[WheelResult, ...]:
    """A wheel that was built, one that hosts keep, and one that failed."""
    built = WheelResult(
        signature=SIGNATURE,
        build_key=KEY,
        hosts=("worker-0", "worker-1"),
        state=WheelState.BUILT,
        artifact=make_artifact(),
        timings=make_timings(reused=("pin_memory", "cpu_lion")),
        elapsed_s=61.0,
    )
    other = replace(SIGNATURE, python_tag="cp312")
    kept = WheelResult(signature=other, build_key=BuildKey("m" * 32), hosts=("worker-2",), state=WheelState.KEPT)
    failed = WheelResult(
        signature=replace(SIGNATURE, python_tag="cp313"),
        build_key=BuildKey("n" * 32),
        hosts=("worker-3",),
        state=WheelState.FAILED,
        failure=Failure(message="op fused_adam failed\nx.cu:3: error", hint="look", exit_code=ExitCode.BUILD),
        elapsed_s=5.0,
        logs="/state/logs/nnn",
    )
    return built, kept, failed
