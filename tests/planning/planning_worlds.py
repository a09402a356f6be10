"""Hosts, recipes, catalogues and deployments to plan with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fakes import hosts
from hypothesis import settings
from hypothesis import strategies as st

from orchestrator.model.deployment import Stamp
from orchestrator.model.facts import Disk, Facts, Gpu, InstalledDeepSpeed, Tool, Torch
from orchestrator.model.ops import Need, OpSpec, OpVerdict
from orchestrator.model.plan import DeployPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.recipe import ArchPolicy, CpuPolicy, Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.wheels import Artifact, BuildKey, Manifest, OpRecord, Sha256
from orchestrator.planning.origins import PlanInput

settings.register_profile("planning", deadline=None, max_examples=60)  # a busy machine is no failure
settings.load_profile("planning")

GPP = Tool(path="/usr/bin/g++", version="12.2.0")
NVCC = Tool(path="/usr/local/cuda/bin/nvcc", version="13.0")
H100 = Gpu(index=0, name="NVIDIA H100", compute_capability="9.0", driver="580.95")
A100 = Gpu(index=0, name="NVIDIA A100", compute_capability="8.0", driver="580.95")
CUDA_TORCH = Torch(version="2.13.0+cu130", cuda="13.0")

SYSTEM = replace(hosts.SYSTEM, cpu_level=CpuLevel.X86_64_V4)
PYTHON = replace(hosts.INTERPRETER, requested="/opt/venv/bin/python")
FACTS = Facts(
    system=SYSTEM,
    accelerator=Accelerator.CPU,
    compilers=(GPP,),
    disks=(Disk(role="cache", path="/home/u/.cache/dsdeploy", free_bytes=50_000_000_000),),
    interpreter=PYTHON,
)
GPU_FACTS = replace(
    FACTS,
    accelerator=Accelerator.CUDA,
    gpus=(H100,),
    nvcc=NVCC,
    cuda_home="/usr/local/cuda",
    interpreter=replace(PYTHON, torch=CUDA_TORCH),
)
RECIPE = Recipe(name="cpu-training", source=Source(kind=SourceKind.VERSION, value="0.19.8"))
SIGNATURE = Signature(
    accelerator=Accelerator.CPU,
    torch_version="2.13.0+cpu",
    python_tag="cp311",
    machine="x86_64",
    cpu_level=CpuLevel.X86_64_V4,
    glibc="2.36",
    glibcxx="3.4.30",
)


def make_op(name: str, *, needs: tuple[Need, ...] = (), depends_on: tuple[str, ...] = ()) -> OpSpec:
    return OpSpec(
        name=name,
        build_variable=f"DS_BUILD_{name.upper()}",
        accelerator=Accelerator.CPU,
        needs=needs,
        depends_on=depends_on,
    )


CATALOGUE = (
    make_op("cpu_adam"),
    make_op("pin_memory"),
    make_op("async_io", needs=(Need.LIBAIO,), depends_on=("pin_memory",)),
    make_op("deepspeed_ccl_comm", needs=(Need.ONECCL,)),
    replace(make_op("sparse_attn"), never="works with torch below 2 only"),
    replace(make_op("gds", needs=(Need.NVCC,)), accelerator=Accelerator.CUDA),
)


def with_system(
    facts: Facts = FACTS,
    *,
    cpu_level: CpuLevel | None = None,
    glibc: str | None = SYSTEM.glibc,
    glibcxx: str | None = SYSTEM.glibcxx,
    machine: str | None = None,
) -> Facts:
    system = facts.system
    return replace(
        facts,
        system=replace(
            system,
            cpu_level=cpu_level or system.cpu_level,
            glibc=glibc,
            glibcxx=glibcxx,
            machine=machine or system.machine,
        ),
    )


def with_torch(facts: Facts, torch: Torch | None) -> Facts:
    assert facts.interpreter is not None
    return replace(facts, interpreter=replace(facts.interpreter, torch=torch))


def with_deepspeed(facts: Facts, deepspeed: InstalledDeepSpeed | None) -> Facts:
    assert facts.interpreter is not None
    return replace(facts, interpreter=replace(facts.interpreter, deepspeed=deepspeed))


def make_input(
    facts: Mapping[str, Facts],
    *,
    recipe: Recipe = RECIPE,
    store: Mapping[BuildKey, Artifact] | None = None,
    controller: Facts = FACTS,
) -> PlanInput:
    return PlanInput(
        recipe=recipe,
        hosts=tuple(facts),
        facts=facts,
        controller=lambda _: controller,
        catalogue=CATALOGUE,
        find=(store or {}).get,
        stored=lambda: tuple((store or {}).values()),
    )


def make_artifact(wheel: WheelPlan, *, mark: str = "a", recipe: Recipe = RECIPE) -> Artifact:
    """The wheel that building as planned gives."""
    ops = tuple(OpRecord(name=op.op, is_built=op.verdict is OpVerdict.BUILD, reason=op.reason) for op in wheel.ops)
    manifest = Manifest(
        build_key=wheel.build_key,
        signature=wheel.signature,
        recipe="cpu-training",
        recipe_digest=recipe.digest(),
        source=RECIPE.source,
        source_sha256="0" * 64,
        deepspeed_version="0.19.8+torch2.13.cpu",
        ops=ops,
    )
    sha256 = Sha256((wheel.build_key + mark * 64)[:64])
    return Artifact(sha256=sha256, filename="deepspeed.whl", size_bytes=2_700_000, manifest=manifest)


def deployed(facts: Facts, artifact: Artifact, *, deployment: str = "20260101-1") -> Facts:
    """The facts of a host after the artifact was committed there."""
    assert facts.interpreter is not None
    assert facts.interpreter.torch is not None
    version = artifact.manifest.deepspeed_version
    record = "record of " + artifact.sha256
    stamp = Stamp(
        deployment=deployment,
        prefix=facts.interpreter.prefix,
        build_key=artifact.manifest.build_key,
        wheel_sha256=artifact.sha256,
        version=version,
        record_sha256=record,
        torch_version=facts.interpreter.torch.version,
        committed_at="2026-01-01T00:00:00Z",
        committed_by="u@controller",
    )
    installed = InstalledDeepSpeed(version=version, location="/opt/venv/lib", record_sha256=record)
    return replace(with_deepspeed(facts, installed), stamp=stamp, cached_wheels=(artifact.sha256,))


def execute(
    plan: DeployPlan, facts: Mapping[str, Facts], store: Mapping[BuildKey, Artifact]
) -> tuple[dict[str, Facts], dict[BuildKey, Artifact]]:
    """Return the hosts' facts and the store's content as a run of the plan leaves them."""
    wheels = dict(store)
    for wheel in plan.wheels:
        if wheel.verdict is WheelVerdict.BUILD:
            wheels[wheel.build_key] = make_artifact(wheel, mark="b" if wheel.build_key in store else "a")
    after = dict(facts)
    for host in plan.of_verdict(HostVerdict.INSTALL):
        assert host.build_key is not None
        after[host.host] = deployed(facts[host.host], wheels[host.build_key])
    return after, wheels


_TORCHES = st.sampled_from(
    [
        None,
        Torch(version="2.13.0+cpu"),
        Torch(version="2.12.1+cpu"),
        CUDA_TORCH,
        Torch(version="2.9.0+rocm6", hip="6.4"),
    ]
)
_MACHINES = st.sampled_from(
    [
        ("x86_64", CpuLevel.X86_64_V2),
        ("x86_64", CpuLevel.X86_64_V3),
        ("x86_64", CpuLevel.X86_64_V4),
        ("aarch64", CpuLevel.ARMV8),
        ("aarch64", CpuLevel.ARMV8_SVE),
        ("riscv64", CpuLevel.OTHER),
    ]
)
_GPUS = st.sampled_from(
    [
        (Accelerator.CPU, ()),
        (Accelerator.CUDA, (H100,)),
        (Accelerator.CUDA, (A100, H100)),
        (Accelerator.CUDA, (Gpu(index=0, name="unknown"),)),
        (Accelerator.ROCM, (Gpu(index=0, name="MI300X", gfx="gfx942"),)),
    ]
)


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """Facts of any host, those that cannot be used among them."""
    machine, level = draw(_MACHINES)
    accelerator, gpus = draw(_GPUS)
    interpreter = replace(
        PYTHON,
        abi_tag=draw(st.sampled_from(["cp311", "cp313t"])),
        is_writable=draw(st.sampled_from([True, True, True, False])),
        is_externally_managed=draw(st.sampled_from([False, False, False, True])),
        torch=draw(_TORCHES),
    )
    facts = with_system(
        FACTS,
        cpu_level=level,
        machine=machine,
        glibc=draw(st.sampled_from(["2.9", "2.28", "2.36", None])),
        glibcxx=draw(st.sampled_from(["3.4.9", "3.4.30"])),
    )
    return replace(
        facts,
        accelerator=accelerator,
        gpus=gpus,
        has_libaio=draw(st.booleans()),
        interpreter=draw(st.sampled_from([interpreter, interpreter, None])),
    )


@st.composite
def usable_facts(draw: st.DrawFn) -> Facts:
    """Facts of x86-64 CPU hosts that can take a wheel and, mostly, build one."""
    facts = with_system(
        FACTS,
        cpu_level=draw(st.sampled_from([CpuLevel.X86_64_V2, CpuLevel.X86_64_V3, CpuLevel.X86_64_V4])),
        glibc=draw(st.sampled_from(["2.28", "2.36"])),
        glibcxx=draw(st.sampled_from(["3.4.25", "3.4.30"])),
    )
    facts = with_torch(facts, draw(st.sampled_from([Torch(version="2.13.0+cpu"), Torch(version="2.12.1+cpu")])))
    return replace(facts, has_libaio=draw(st.booleans()))


NAMES = st.lists(st.from_regex(r"(worker-|node|a)[0-9]{1,3}", fullmatch=True), unique=True, min_size=1, max_size=8)


@st.composite
def fleets(draw: st.DrawFn, facts: st.SearchStrategy[Facts]) -> dict[str, Facts]:
    """Hosts in hostfile order with their facts."""
    return {name: draw(facts) for name in draw(NAMES)}


RECIPES = st.builds(
    Recipe,
    name=st.just("any"),
    source=st.just(RECIPE.source),
    accelerator=st.sampled_from([None, None, Accelerator.CPU, Accelerator.CUDA]),
    cpu_policy=st.sampled_from(CpuPolicy),
    cpu_level=st.sampled_from([None, None, CpuLevel.X86_64_V3]),
    arch_policy=st.sampled_from(ArchPolicy),
    archs=st.sampled_from([(), ("sm_80",), ("sm_80", "sm_90")]),
)
