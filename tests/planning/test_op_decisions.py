from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_worlds import CATALOGUE, FACTS, RECIPE, SIGNATURE, make_op

from orchestrator.config.ops import load_op_catalogue
from orchestrator.model.facts import Facts
from orchestrator.model.ops import Need, OpDecision, OpSpec, OpVerdict
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.planning.ops import build_packages, decide_ops, host_packages, ops_of

WITH_LIBAIO = replace(FACTS, has_libaio=True)
REAL = load_op_catalogue()
CPU_TOOLS = Toolchain(kind=ToolchainKind.SYSTEM, reason="its own", cxx="/usr/bin/g++", cxx_version="12.2.0")
CUDA_13 = replace(CPU_TOOLS, kind=ToolchainKind.WHEELS, cuda="13.0")
CUDA_12 = replace(CUDA_13, kind=ToolchainKind.HOST, cuda="12.8")
GPU_RECIPE = replace(RECIPE, accelerator=Accelerator.CUDA)
DSKERNELS = "deepspeed-kernels==0.0.1.dev1698255861"


def decide(
    recipe: Recipe,
    builder: Facts = FACTS,
    catalogue: tuple[OpSpec, ...] = CATALOGUE,
    toolchain: Toolchain = CPU_TOOLS,
) -> dict[str, OpDecision]:
    return {decision.op: decision for decision in decide_ops(catalogue, recipe, SIGNATURE, builder, toolchain)}


def decide_cuda(
    *archs: str,
    recipe: Recipe = GPU_RECIPE,
    toolchain: Toolchain = CUDA_13,
    builder: Facts = WITH_LIBAIO,
    torch: str = "2.11.0+cu130",
    machine: str = "x86_64",
) -> dict[str, OpDecision]:
    """Decide on the real ops of CUDA."""
    signature = replace(
        SIGNATURE, accelerator=Accelerator.CUDA, gpu_archs=archs or ("sm_90",), torch_version=torch, machine=machine
    )
    return {decision.op: decision for decision in decide_ops(REAL, recipe, signature, builder, toolchain)}


def built(decisions: dict[str, OpDecision]) -> set[str]:
    return {name for name, decision in decisions.items() if decision.verdict is OpVerdict.BUILD}


def test_without_wishes_every_op_that_can_be_built_is_built() -> None:
    assert built(decide(RECIPE, WITH_LIBAIO)) == {"cpu_adam", "pin_memory", "async_io"}


def test_ops_of_another_accelerator_are_not_mentioned() -> None:
    assert "gds" not in decide(RECIPE)


def test_only_wanted_and_required_ops_are_built() -> None:
    recipe = replace(RECIPE, wanted=("cpu_adam",), required=("pin_memory",))
    decisions = decide(recipe, WITH_LIBAIO)
    assert built(decisions) == {"cpu_adam", "pin_memory"}
    assert decisions["async_io"].reason == "not wanted by the recipe"


def test_what_a_wanted_op_needs_is_built_with_it() -> None:
    decisions = decide(replace(RECIPE, wanted=("async_io",)), WITH_LIBAIO)
    assert built(decisions) == {"async_io", "pin_memory"}
    assert decisions["pin_memory"].reason == "needed by async_io"


def test_what_an_op_needs_in_turn_is_built_too() -> None:
    chain = (make_op("a", depends_on=("b",)), make_op("b", depends_on=("c",)), make_op("c"))
    assert built(decide(replace(RECIPE, wanted=("a",)), catalogue=chain)) == {"a", "b", "c"}


def test_an_op_is_not_built_when_what_it_needs_is_off() -> None:
    decisions = decide(replace(RECIPE, off=("pin_memory",)), WITH_LIBAIO)
    assert decisions["async_io"].verdict is OpVerdict.SKIP
    assert "pin_memory: off in the recipe" in decisions["async_io"].reason


def test_what_a_skipped_op_needs_is_not_built_for_it() -> None:
    assert built(decide(replace(RECIPE, wanted=("async_io",)))) == set()


def test_an_op_that_an_older_version_lacks_is_not_needed_there() -> None:
    catalogue = (make_op("async_io", depends_on=("pin_memory",)), replace(make_op("pin_memory"), deepspeed=">=1"))
    assert built(decide(RECIPE, catalogue=catalogue)) == {"async_io"}


@pytest.mark.parametrize(
    ("op", "recipe", "reason"),
    [
        ("async_io", RECIPE, "libaio-dev"),
        ("deepspeed_ccl_comm", RECIPE, "CCL_ROOT"),
        ("sparse_attn", RECIPE, "torch below 2"),
        ("cpu_adam", replace(RECIPE, off=("cpu_adam",)), "off in the recipe"),
        ("cpu_adam", replace(RECIPE, environment={"DS_BUILD_CPU_ADAM": "0"}), "DS_BUILD_CPU_ADAM=0"),
        ("cpu_adam", replace(RECIPE, environment={"DS_BUILD_OPS": "0"}), "DS_BUILD_OPS=0"),
    ],
)
def test_a_skipped_op_says_why(op: str, recipe: Recipe, reason: str) -> None:
    decision = decide(recipe)[op]
    assert decision.verdict is OpVerdict.SKIP
    assert reason in decision.reason


def test_an_op_s_own_switch_beats_the_general_one() -> None:
    recipe = replace(RECIPE, environment={"DS_BUILD_OPS": "0", "DS_BUILD_CPU_ADAM": "1"})
    assert built(decide(recipe)) == {"cpu_adam"}


def test_oneccl_s_op_is_built_where_the_recipe_names_oneccl() -> None:
    assert "deepspeed_ccl_comm" in built(decide(replace(RECIPE, environment={"CCL_ROOT": "/opt/ccl"})))


def test_an_op_with_device_code_needs_a_cuda_toolkit() -> None:
    catalogue = (make_op("fused_lamb", needs=(Need.NVCC,)),)
    assert "CUDA toolkit" in decide(RECIPE, catalogue=catalogue)["fused_lamb"].reason
    assert built(decide(RECIPE, catalogue=catalogue, toolchain=CUDA_13)) == {"fused_lamb"}


@pytest.mark.parametrize("op", ["async_io", "deepspeed_ccl_comm", "sparse_attn"])
def test_a_required_op_that_cannot_be_built_is_refused(op: str) -> None:
    decision = decide(replace(RECIPE, required=(op,)))[op]
    assert decision.verdict is OpVerdict.REFUSE
    assert decision.reason


def test_names_that_this_deepspeed_does_not_have_are_told() -> None:
    decisions = decide(replace(RECIPE, wanted=("cpu_adam", "gds"), required=("warp_drive",)))
    assert (decisions["gds"].verdict, decisions["gds"].build_variable) == (OpVerdict.SKIP, "DS_BUILD_GDS")
    assert decisions["warp_drive"].verdict is OpVerdict.REFUSE
    assert "0.19.8" in decisions["warp_drive"].reason


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (Source(kind=SourceKind.VERSION, value="0.8.0"), ["old"]),
        (Source(kind=SourceKind.VERSION, value="0.19.8"), ["new"]),
        (Source(kind=SourceKind.VERSION, value="0.20.0.dev1"), ["new"]),
        (Source(kind=SourceKind.FOLDER, value="/src/DeepSpeed"), ["new"]),
    ],
)
def test_a_version_has_its_own_ops_and_a_folder_the_newest(source: Source, names: list[str]) -> None:
    catalogue = (replace(make_op("old"), deepspeed="<0.10"), replace(make_op("new"), deepspeed=">=0.10"))
    assert [spec.name for spec in ops_of(catalogue, Accelerator.CPU, replace(RECIPE, source=source))] == names


def test_the_real_catalogue_gives_the_ops_that_a_cpu_build_can_have() -> None:
    assert built(decide(RECIPE, FACTS, REAL)) == {
        "cpu_adam",
        "cpu_adagrad",
        "cpu_lion",
        "fused_adam",
        "deepspeed_shm_comm",
        "pin_memory",
        "deepspeed_not_implemented",
    }
    assert "async_io" in built(decide(RECIPE, WITH_LIBAIO, REAL))


def test_a_toolkit_of_wheels_gives_every_op_but_those_with_a_reason() -> None:
    decisions = decide_cuda()
    assert len(built(decisions)) == 20
    left_out = {name: decision.reason for name, decision in decisions.items() if name not in built(decisions)}
    assert set(left_out) == {"fp_quantizer", "cutlass_ops", "ragged_device_ops"}
    assert "CUDA 13.0" in left_out["fp_quantizer"]
    assert DSKERNELS in left_out["cutlass_ops"]


def test_fp_quantizer_is_built_by_a_compiler_that_takes_its_source() -> None:
    torch = "2.10.0+cu128"
    assert "fp_quantizer" in built(decide_cuda(toolchain=CUDA_12, torch=torch))
    required = replace(GPU_RECIPE, required=("fp_quantizer",))
    assert decide_cuda(recipe=required)["fp_quantizer"].verdict is OpVerdict.REFUSE


@pytest.mark.parametrize(
    ("torch", "is_there"), [("2.6.0+cu124", True), ("2.7.0a0+git1", False), ("2.7.1+cu126", False)]
)
def test_an_op_knows_the_torch_versions_that_it_is_for(torch: str, is_there: bool) -> None:  # noqa: FBT001
    recipe = replace(GPU_RECIPE, source=Source(kind=SourceKind.VERSION, value="0.18.9"))
    decision = decide_cuda(recipe=recipe, toolchain=CUDA_12, torch=torch)["fp_quantizer"]
    assert (decision.verdict is OpVerdict.BUILD) == is_there
    assert is_there or torch in decision.reason


@pytest.mark.parametrize("recipe", [{"wanted": ("cutlass_ops",)}, {"required": ("cutlass_ops",)}])
def test_an_op_that_brings_a_package_to_the_hosts_is_built_when_it_is_named(recipe: dict[str, tuple[str]]) -> None:
    named = replace(GPU_RECIPE, **recipe)  # type: ignore[arg-type]
    assert "cutlass_ops" in built(decide_cuda(recipe=named))
    assert "ragged_device_ops" not in built(decide_cuda(recipe=named))


@pytest.mark.parametrize(
    ("archs", "machine", "reason"),
    [
        (("sm_90", "sm_120"), "x86_64", "not for sm_120"),
        (("sm_75",), "x86_64", "sm_80 or newer"),
        (("sm_90",), "aarch64", "not for aarch64"),
    ],
)
def test_deepspeed_kernels_has_code_for_some_gpus_and_one_machine(
    archs: tuple[str, ...], machine: str, reason: str
) -> None:
    wanted = decide_cuda(*archs, machine=machine, recipe=replace(GPU_RECIPE, wanted=("cutlass_ops",)))["cutlass_ops"]
    assert wanted.verdict is OpVerdict.SKIP
    assert reason in wanted.reason
    required = replace(GPU_RECIPE, required=("cutlass_ops",))
    assert decide_cuda(*archs, machine=machine, recipe=required)["cutlass_ops"].verdict is OpVerdict.REFUSE


def test_packages_come_with_the_ops_that_are_built() -> None:
    specs = ops_of(REAL, Accelerator.CUDA, GPU_RECIPE)
    every, named = decide_cuda(), replace(GPU_RECIPE, wanted=("cutlass_ops", "ragged_device_ops", "fused_adam"))
    assert build_packages(tuple(every.values()), specs) == ("nvidia-cutlass==3.8.0.0",)
    assert host_packages(tuple(every.values()), specs) == ()
    decisions = tuple(decide_cuda(recipe=named).values())
    assert build_packages(decisions, specs) == host_packages(decisions, specs) == (DSKERNELS,)


def test_an_op_that_is_for_newer_gpus_only_is_skipped() -> None:
    volta = decide_cuda("sm_70", toolchain=CUDA_12)
    assert volta["fp_quantizer"].verdict is OpVerdict.SKIP
    assert "sm_80 or newer" in volta["fp_quantizer"].reason
    assert "sm_70" in volta["fp_quantizer"].reason
    assert "evoformer_attn" in built(volta)
    assert "evoformer_attn" not in built(decide_cuda("sm_61", toolchain=CUDA_12))
    required = replace(GPU_RECIPE, required=("fp_quantizer",))
    assert decide_cuda("sm_70", toolchain=CUDA_12, recipe=required)["fp_quantizer"].verdict is OpVerdict.REFUSE


def test_an_op_that_is_for_some_gpus_of_the_group_says_for_which() -> None:
    mixed = decide_cuda("sm_75", "sm_80", "sm_90", toolchain=CUDA_12)
    assert mixed["fp_quantizer"].verdict is OpVerdict.BUILD
    assert mixed["fp_quantizer"].reason.startswith("for sm_80, sm_90 only")
    assert mixed["fused_adam"].reason == ""


@pytest.mark.parametrize(
    ("version", "arch", "is_read"),
    [
        ("0.16.3", "sm_90", True),
        ("0.16.3", "sm_100", False),
        ("0.16.3", "sm_90a", False),
        ("0.16.4", "sm_100", True),
        ("0.19.0", "sm_90a", True),
        ("0.19.1", "sm_90a", False),
        ("0.19.1", "sm_120", True),
    ],
)
def test_archs_that_a_deepspeed_cannot_read_are_told_before(
    version: str,
    arch: str,
    is_read: bool,  # noqa: FBT001
) -> None:
    recipe = replace(GPU_RECIPE, source=Source(kind=SourceKind.VERSION, value=version))
    decision = decide_cuda(arch, recipe=recipe)["fused_adam"]
    assert (decision.verdict is OpVerdict.BUILD) == is_read
    assert is_read or arch in decision.reason


@pytest.mark.parametrize(
    ("op", "facts", "package"),
    [("gds", {"has_cufile": True}, "libcufile-dev-12-8"), ("dc", {"has_nccl": True}, "libnccl-dev")],
)
def test_what_wheels_bring_along_a_toolkit_of_the_builder_must_have(
    op: str, facts: dict[str, bool], package: str
) -> None:
    assert op in built(decide_cuda(toolchain=CUDA_13))
    lacking = decide_cuda(toolchain=CUDA_12)[op]
    assert lacking.verdict is OpVerdict.SKIP
    assert lacking.reason.endswith(package)
    assert op in built(decide_cuda(toolchain=CUDA_12, builder=replace(WITH_LIBAIO, **facts)))  # type: ignore[arg-type]


def test_gds_needs_libaio_too() -> None:
    decisions = decide_cuda(builder=FACTS)
    assert "libaio" in decisions["gds"].reason
    assert "libaio" in decisions["async_io"].reason


def test_gds_brings_pin_memory_along() -> None:
    decisions = decide_cuda(recipe=replace(GPU_RECIPE, wanted=("gds",)))
    assert built(decisions) == {"gds", "pin_memory"}


def test_sparse_attention_is_never_built() -> None:
    recipe = replace(GPU_RECIPE, source=Source(kind=SourceKind.VERSION, value="0.18.9"), required=("sparse_attn",))
    decision = decide_cuda(recipe=recipe)["sparse_attn"]
    assert decision.verdict is OpVerdict.REFUSE
    assert "torch < 2" in decision.reason


def test_evoformer_is_never_built_where_its_builder_looks_at_the_gpu_of_the_builder() -> None:
    recipe = replace(GPU_RECIPE, source=Source(kind=SourceKind.VERSION, value="0.18.7"))
    assert decide_cuda(recipe=recipe)["evoformer_attn"].verdict is OpVerdict.SKIP
    assert decide_cuda()["evoformer_attn"].verdict is OpVerdict.BUILD


OPS = st.sets(st.sampled_from([spec.name for spec in CATALOGUE] + ["warp_drive"])).map(
    lambda names: tuple(sorted(names))
)


@given(OPS, OPS, OPS, st.booleans())
def test_every_op_has_one_verdict_and_every_refusal_its_reason(
    wanted: tuple[str, ...],
    required: tuple[str, ...],
    off: tuple[str, ...],
    has_libaio: bool,  # noqa: FBT001 - hypothesis gives positions
) -> None:
    recipe = replace(RECIPE, wanted=wanted, required=required, off=off)
    decisions = decide_ops(CATALOGUE, recipe, SIGNATURE, replace(FACTS, has_libaio=has_libaio), CPU_TOOLS)
    names = [decision.op for decision in decisions]
    assert len(set(names)) == len(names)
    assert {*wanted, *required, "cpu_adam", "pin_memory", "async_io"} <= set(names)
    for decision in decisions:
        assert decision.reason or decision.verdict is OpVerdict.BUILD
        assert (decision.verdict is OpVerdict.REFUSE) <= (decision.op in required)
        assert (decision.verdict is OpVerdict.SKIP) <= (decision.op not in required)
        assert not (decision.op in off and decision.verdict is OpVerdict.BUILD)
