"""A wheel is built again once its builder has the library that an op of it lacked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planning_worlds import FACTS, GPU_FACTS, make_artifact, make_input, make_op

from orchestrator.model.facts import Facts
from orchestrator.model.ops import Need
from orchestrator.model.plan import WheelVerdict
from orchestrator.model.signature import Accelerator
from orchestrator.planning.deployment import make_plan
from orchestrator.planning.origins import PlanInput

CATALOGUE = tuple(
    replace(make_op(name, needs=needs), accelerator=Accelerator.CUDA)
    for name, needs in [("utils", ()), ("gds", (Need.CUFILE,)), ("dc", (Need.NCCL,))]
)


def given(facts: Facts) -> PlanInput:
    return replace(make_input({"a": facts}, controller=replace(FACTS, compilers=())), catalogue=CATALOGUE)


@pytest.mark.parametrize(
    ("machine", "op"), [(replace(GPU_FACTS, has_cufile=True), "gds"), (replace(GPU_FACTS, has_nccl=True), "dc")]
)
def test_an_op_is_gained_with_the_library_that_it_lacked(machine: Facts, op: str) -> None:
    artifact = make_artifact(make_plan(given(GPU_FACTS)).wheels[0])
    assert artifact.manifest.built_ops == ("utils",)
    (same,) = make_plan(replace(given(GPU_FACTS), find=lambda _: artifact)).wheels
    assert same.verdict is WheelVerdict.REUSE
    (again,) = make_plan(replace(given(machine), find=lambda _: artifact)).wheels
    assert again.verdict is WheelVerdict.BUILD
    assert again.reason.startswith(f"{op} can be built")
