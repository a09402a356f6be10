"""The ops that break a CUDA build, with the real compiler: what the catalogue says of them is so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cuda_parts import RECIPE, CudaWorld, with_verdicts

from orchestrator.build.wheel import make_wheel
from orchestrator.config.ops import load_op_catalogue, ops_for
from orchestrator.errors import BuildError
from orchestrator.model.ops import OpVerdict
from orchestrator.model.signature import Accelerator

pytestmark = pytest.mark.cuda

OPS = ops_for(load_op_catalogue(), RECIPE.source.value, Accelerator.CUDA)
ALL = sorted(spec.name for spec in OPS if spec.never is None and spec.name != "fp_quantizer")


def test_every_op_has_commands_that_name_no_folder_of_this_machine(world: CudaWorld, tmp_path: Path) -> None:
    captured = world.capture(world.order(*ALL), tmp_path)
    assert sorted(captured.ops) == ALL
    commands = [command for op in captured.ops.values() for command in (*(job.argv for job in op.jobs), op.link)]
    words = [word for command in commands for word in command]
    assert [word for word in words if str(Path.home()) in word or word.startswith(("-I/", "-L/"))] == []


def test_every_cuda_source_is_compiled_for_the_wheels_arch_alone(world: CudaWorld, tmp_path: Path) -> None:
    captured = world.capture(world.order(*ALL), tmp_path)
    for op in captured.ops.values():
        for job in op.jobs:
            targets = {word for word in job.argv if word.startswith("-gencode")}
            assert targets == ({"-gencode=arch=compute_90,code=sm_90"} if job.is_cuda else set()), job.source


def test_nvcc_13_rejects_fp_quantizer_and_planning_knows(world: CudaWorld, tmp_path: Path) -> None:
    order = world.order("fp_quantizer")
    (decision,) = [decision for decision in order.decisions if decision.op == "fp_quantizer"]
    assert decision.verdict is OpVerdict.SKIP
    assert "rejects its source" in decision.reason
    with pytest.raises(BuildError) as failure:
        make_wheel(with_verdicts(order, {"fp_quantizer": OpVerdict.BUILD}), world.tools(tmp_path))
    assert "fp_quantizer" in failure.value.message
    logs = "".join(log.read_text(errors="replace") for log in (tmp_path / "logs").glob("*.log"))
    assert "redeclared" in logs


def test_evoformer_attn_finds_cutlass_in_nvidias_package(world: CudaWorld, tmp_path: Path) -> None:
    captured = world.capture(world.order("evoformer_attn"), tmp_path)
    folders = {word for job in captured.ops["evoformer_attn"].jobs for word in job.argv if "cutlass" in word}
    assert any(folder.endswith("cutlass_library/source/include") for folder in folders)


@pytest.mark.parametrize("op", ["cutlass_ops", "ragged_device_ops"])
def test_ops_with_deepspeed_kernels_look_for_its_libraries_beside_themselves(
    world: CudaWorld, tmp_path: Path, op: str
) -> None:
    link = world.capture(world.order(op), tmp_path).ops[op].link
    (search_path,) = [word for word in link if "rpath" in word]
    assert "$ORIGIN/" in search_path
    assert search_path.endswith("dskernels")


def test_without_deepspeed_kernels_its_ops_are_refused_before_anything_is_compiled(
    world: CudaWorld, tmp_path: Path
) -> None:
    order = world.order("cutlass_ops")
    specs = tuple(replace(spec, build_packages=()) for spec in order.specs)
    with pytest.raises(BuildError, match=r"cutlass_ops: .*dskernels"):
        world.capture(replace(order, specs=specs), tmp_path)
