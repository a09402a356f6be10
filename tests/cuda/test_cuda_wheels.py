"""A small CUDA op, from the plan to a finished wheel, with NVIDIA's toolkit from wheels and no GPU."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cuda_parts import CudaWorld
from fakes.reporter import FakeReporter
from wheel.wheelfile import WheelFile

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.order import BuiltWheel
from orchestrator.build.wheel import make_wheel
from orchestrator.model.events import OpReused

pytestmark = pytest.mark.cuda

OP = "random_ltd"


@pytest.fixture(scope="module")
def built(world: CudaWorld) -> BuiltWheel:
    """One wheel for all tests that only look."""
    return make_wheel(world.order(OP), world.tools(world.scratch / "built"))


def test_the_library_holds_machine_code_for_the_groups_gpu_and_nothing_else(built: BuiltWheel) -> None:
    (library,) = read_wheel(built.path).shared_objects.values()
    assert (library.gpu_archs, library.ptx_archs) == (("sm_90",), ())
    assert not library.has_debug_sections


def test_the_manifest_says_what_the_library_holds(built: BuiltWheel) -> None:
    (record,) = [op for op in built.manifest.ops if op.is_built]
    assert (record.name, record.gpu_archs, record.ptx_archs) == (OP, ("sm_90",), ())
    assert built.manifest.compilers["nvcc"].startswith("Build cuda_13.0")


def test_deepspeed_itself_believes_in_the_op_and_no_other(built: BuiltWheel) -> None:
    contents = read_wheel(built.path)
    assert [op for op, is_there in contents.installed_ops.items() if is_there] == [OP]
    assert contents.accelerator == "cuda"


def test_no_path_of_this_machine_is_in_the_library(built: BuiltWheel, world: CudaWorld) -> None:
    with WheelFile(built.path) as wheel:
        (library,) = [wheel.read(name) for name in wheel.namelist() if name.endswith(".so")]
    environment, home = Path(world.python).parents[1], Path.home()
    assert [path for path in (environment, home, world.scratch) if f"{path}/".encode() in library] == []


def test_two_builds_in_different_folders_give_equal_bytes(built: BuiltWheel, world: CudaWorld, tmp_path: Path) -> None:
    shutil.rmtree(world.stages)  # every byte is made again
    again = make_wheel(world.order(OP), world.tools(tmp_path))
    assert again.path.read_bytes() == built.path.read_bytes()


def test_an_op_that_was_compiled_before_is_not_compiled_again(world: CudaWorld, tmp_path: Path) -> None:
    tools = world.tools(tmp_path)
    first = make_wheel(world.order(OP), tools)
    first.path.unlink()
    second = make_wheel(world.order(OP, "fused_lion"), tools)
    assert isinstance(tools.reporter, FakeReporter)
    assert [event.op for event in tools.reporter.of(OpReused)] == [OP]
    assert {span.op for span in second.timings.spans} == {"fused_lion"}


def test_a_wheel_for_two_gpus_holds_code_for_both(world: CudaWorld, tmp_path: Path) -> None:
    fat = make_wheel(world.order(OP, archs=("sm_80", "sm_90")), world.tools(tmp_path))
    (library,) = read_wheel(fat.path).shared_objects.values()
    assert (library.gpu_archs, library.ptx_archs) == (("sm_80", "sm_90"), ())
