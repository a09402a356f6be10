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
from orchestrator.planning.ops import decide_ops, ops_of

WITH_LIBAIO = replace(FACTS, has_libaio=True)


def decide(recipe: Recipe, builder: Facts = FACTS, catalogue: tuple[OpSpec, ...] = CATALOGUE) -> dict[str, OpDecision]:
    return {decision.op: decision for decision in decide_ops(catalogue, recipe, SIGNATURE, builder)}


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


def test_nvcc_must_really_work() -> None:
    catalogue = (make_op("gds", needs=(Need.NVCC,)),)
    assert "nvcc" in decide(RECIPE, catalogue=catalogue)["gds"].reason


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
    assert built(decide(RECIPE, FACTS, load_op_catalogue())) == {
        "cpu_adam",
        "cpu_adagrad",
        "cpu_lion",
        "fused_adam",
        "deepspeed_shm_comm",
        "pin_memory",
        "deepspeed_not_implemented",
    }
    assert "async_io" in built(decide(RECIPE, WITH_LIBAIO, load_op_catalogue()))


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
    decisions = decide_ops(CATALOGUE, recipe, SIGNATURE, replace(FACTS, has_libaio=has_libaio))
    names = [decision.op for decision in decisions]
    assert len(set(names)) == len(names)
    assert {*wanted, *required, "cpu_adam", "pin_memory", "async_io"} <= set(names)
    for decision in decisions:
        assert decision.reason or decision.verdict is OpVerdict.BUILD
        assert (decision.verdict is OpVerdict.REFUSE) <= (decision.op in required)
        assert (decision.verdict is OpVerdict.SKIP) <= (decision.op not in required)
        assert not (decision.op in off and decision.verdict is OpVerdict.BUILD)
