from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_worlds import (
    FACTS,
    RECIPE,
    deployed,
    execute,
    fleets,
    make_artifact,
    make_input,
    usable_facts,
    with_deepspeed,
    with_system,
    with_torch,
)

from orchestrator.errors import PlanError
from orchestrator.model.codec import from_document, to_document
from orchestrator.model.facts import Facts, InstalledDeepSpeed, Torch
from orchestrator.model.ops import OpVerdict
from orchestrator.model.outcome import Failure
from orchestrator.model.plan import DeployPlan, HostVerdict, WheelVerdict
from orchestrator.model.recipe import CpuPolicy, Recipe
from orchestrator.model.signature import CpuLevel
from orchestrator.model.wheels import Artifact, BuildKey
from orchestrator.planning.deployment import check_nothing_is_refused, check_plan_still_fits, make_plan

INSTALL, KEEP, REJECT = HostVerdict.INSTALL, HostVerdict.KEEP, HostVerdict.REJECT
BUILD, REUSE, FETCH = WheelVerdict.BUILD, WheelVerdict.REUSE, WheelVerdict.FETCH
FRESH = {"a": FACTS, "b": FACTS}
LESSER = with_system(FACTS, cpu_level=CpuLevel.X86_64_V3, glibc="2.31")


def verdicts(plan: DeployPlan) -> dict[str, HostVerdict]:
    return {row.host: row.verdict for row in plan.hosts}


def reason_of(plan: DeployPlan, host: str) -> str:
    return next(row.reason for row in plan.hosts if row.host == host)


@pytest.fixture
def artifact() -> Artifact:
    return make_artifact(make_plan(make_input(FRESH)).wheels[0])


@pytest.fixture
def store(artifact: Artifact) -> dict[BuildKey, Artifact]:
    return {artifact.manifest.build_key: artifact}


@pytest.fixture
def installed(artifact: Artifact) -> Facts:
    return deployed(FACTS, artifact)


def test_fresh_hosts_get_a_wheel_that_is_built() -> None:
    plan = make_plan(make_input(FRESH))
    (wheel,) = plan.wheels
    assert verdicts(plan) == {"a": INSTALL, "b": INSTALL}
    assert (wheel.verdict, wheel.sha256, wheel.hosts) == (BUILD, None, ("a", "b"))
    assert wheel.builder is not None
    assert wheel.builder.host == "a"
    assert all(row.build_key == wheel.build_key for row in plan.hosts)


def test_a_wheel_in_the_store_is_reused_with_the_ops_that_it_has(
    artifact: Artifact, store: dict[BuildKey, Artifact]
) -> None:
    (wheel,) = make_plan(make_input(FRESH, store=store)).wheels
    assert (wheel.verdict, wheel.sha256, wheel.builder) == (REUSE, artifact.sha256, None)
    assert {op.op for op in wheel.ops if op.verdict is OpVerdict.REUSE} == {"cpu_adam", "pin_memory"}
    assert next(op.build_variable for op in wheel.ops if op.op == "cpu_adam") == "DS_BUILD_CPU_ADAM"


def test_nothing_is_left_when_every_host_has_the_store_s_wheel(
    installed: Facts, store: dict[BuildKey, Artifact]
) -> None:
    plan = make_plan(make_input({"a": installed, "b": installed}, store=store))
    assert verdicts(plan) == {"a": KEEP, "b": KEEP}
    assert plan.is_empty


def test_a_missing_store_wheel_is_no_build_while_every_host_keeps(artifact: Artifact, installed: Facts) -> None:
    plan = make_plan(make_input({"a": installed, "b": installed}))
    assert plan.is_empty
    assert (plan.wheels[0].verdict, plan.wheels[0].sha256) == (REUSE, artifact.sha256)


def test_a_new_host_gets_the_wheel_that_another_host_still_holds(artifact: Artifact, installed: Facts) -> None:
    plan = make_plan(make_input({"new": FACTS, "old": installed}))
    assert (plan.wheels[0].verdict, plan.wheels[0].sha256) == (FETCH, artifact.sha256)
    assert "old" in plan.wheels[0].reason
    assert verdicts(plan) == {"new": INSTALL, "old": KEEP}


def test_a_wheel_that_no_cache_holds_is_built_again_for_all(installed: Facts) -> None:
    emptied = replace(installed, cached_wheels=())
    plan = make_plan(make_input({"new": FACTS, "old": emptied}))
    assert plan.wheels[0].verdict is BUILD
    assert verdicts(plan) == {"new": INSTALL, "old": INSTALL}


@pytest.fixture
def mixed() -> Artifact:
    """The wheel of a cluster whose second host is the lesser."""
    plan = make_plan(make_input({"new": FACTS, "old": LESSER}))
    return make_artifact(plan.wheels[0])


def test_some_hosts_of_a_cluster_keep_what_a_run_for_all_of_them_brought(mixed: Artifact) -> None:
    facts = {"new": deployed(FACTS, mixed)}
    assert make_plan(make_input(facts, store={mixed.manifest.build_key: mixed})).is_empty


def test_a_new_host_gets_the_wheel_that_was_built_for_lesser_ones_too(mixed: Artifact) -> None:
    facts = {"third": FACTS}
    plan = make_plan(make_input(facts, store={mixed.manifest.build_key: mixed}))
    assert (plan.wheels[0].verdict, plan.wheels[0].sha256) == (REUSE, mixed.sha256)
    assert plan.wheels[0].signature == mixed.manifest.signature


def test_a_wheel_built_for_these_hosts_alone_goes_before_one_for_lesser_hosts_too(mixed: Artifact) -> None:
    facts = {"new": FACTS}
    own = make_artifact(make_plan(make_input(facts)).wheels[0], mark="b")
    store = {artifact.manifest.build_key: artifact for artifact in (mixed, own)}
    assert make_plan(make_input(facts, store=store)).wheels[0].sha256 == own.sha256


@pytest.mark.parametrize(
    "recipe",
    [
        replace(RECIPE, cpu_policy=CpuPolicy.PER_LEVEL),
        replace(RECIPE, cpu_level=CpuLevel.X86_64_V4),
        replace(RECIPE, environment={"CFLAGS": "-O2"}),
    ],
)
def test_a_wheel_for_lesser_hosts_does_not_do_where_the_recipe_says_otherwise(mixed: Artifact, recipe: Recipe) -> None:
    facts = {"new": FACTS}
    plan = make_plan(make_input(facts, recipe=recipe, store={mixed.manifest.build_key: mixed}))
    assert plan.wheels[0].verdict is BUILD


def test_a_host_below_a_wheel_s_floors_needs_another(mixed: Artifact) -> None:
    facts = {"oldest": with_system(FACTS, cpu_level=CpuLevel.X86_64_V2)}
    plan = make_plan(make_input(facts, store={mixed.manifest.build_key: mixed}))
    assert plan.wheels[0].verdict is BUILD


def test_force_builds_and_installs_whatever_is_there(installed: Facts, store: dict[BuildKey, Artifact]) -> None:
    plan = make_plan(replace(make_input({"a": installed}, store=store), force=True))
    assert (plan.wheels[0].verdict, verdicts(plan)) == (BUILD, {"a": INSTALL})


def test_a_wheel_gains_an_op_once_its_builder_has_libaio(installed: Facts, store: dict[BuildKey, Artifact]) -> None:
    plan = make_plan(make_input({"a": replace(installed, has_libaio=True)}, store=store))
    assert (plan.wheels[0].verdict, verdicts(plan)) == (BUILD, {"a": INSTALL})
    assert "async_io" in plan.wheels[0].reason


def test_a_wheel_without_async_io_stays_when_the_recipe_does_not_want_it() -> None:
    recipe = replace(RECIPE, wanted=("cpu_adam",))
    wheel = make_artifact(make_plan(make_input(FRESH, recipe=recipe)).wheels[0])
    facts = {"a": replace(deployed(FACTS, wheel), has_libaio=True)}
    assert make_plan(make_input(facts, recipe=recipe, store={wheel.manifest.build_key: wheel})).is_empty


def test_a_wheel_stays_when_nobody_could_build_it_again(installed: Facts, store: dict[BuildKey, Artifact]) -> None:
    bare = replace(installed, compilers=(), has_libaio=True)
    assert make_plan(make_input({"a": bare}, store=store, controller=bare)).is_empty


def test_a_host_says_why_it_must_be_installed(installed: Facts, store: dict[BuildKey, Artifact]) -> None:
    foreign = InstalledDeepSpeed(version="0.18.2", location="/opt/venv/lib")
    other_torch = Torch(version="2.12.1+cpu")
    assert installed.stamp is not None
    facts = {
        "fresh": FACTS,
        "foreign": with_deepspeed(FACTS, foreign),
        "removed": with_deepspeed(installed, None),
        "replaced": with_deepspeed(installed, replace(foreign, record_sha256="other")),
        "torch": with_torch(installed, other_torch),
        "recipe": replace(installed, stamp=replace(installed.stamp, build_key=BuildKey("other"))),
        "wheel": replace(installed, stamp=replace(installed.stamp, wheel_sha256="other")),
        "good": installed,
    }
    plan = make_plan(make_input(facts, store=store))
    assert [row.host for row in plan.of_verdict(KEEP)] == ["good"]
    assert reason_of(plan, "fresh") == reason_of(plan, "removed") == "DeepSpeed is not installed"
    assert reason_of(plan, "foreign") == "DeepSpeed 0.18.2 was installed by something else"
    assert "replaced since deployment 20260101-1" in reason_of(plan, "replaced")
    assert "torch was 2.13.0+cpu" in reason_of(plan, "torch")
    assert "recipe" in reason_of(plan, "recipe")
    assert "built again" in reason_of(plan, "wheel")


def test_a_changed_record_is_noticed_at_equal_versions(installed: Facts, store: dict[BuildKey, Artifact]) -> None:
    assert installed.interpreter is not None
    assert installed.interpreter.deepspeed is not None
    touched = with_deepspeed(installed, replace(installed.interpreter.deepspeed, record_sha256="other"))
    assert verdicts(make_plan(make_input({"a": touched}, store=store))) == {"a": INSTALL}


def test_hosts_that_could_not_be_probed_are_rows_in_hostfile_order() -> None:
    given_input = replace(
        make_input({"b": FACTS}),
        hosts=("a", "b", "c"),
        failures={
            "a": Failure(message="a: connection refused", hint="start sshd"),
            "c": Failure(message="c: no answer in 10 s"),
        },
    )
    plan = make_plan(given_input)
    assert [(row.host, row.verdict) for row in plan.hosts] == [("a", REJECT), ("b", INSTALL), ("c", REJECT)]
    assert (plan.hosts[0].reason, plan.hosts[0].hint) == ("a: connection refused", "start sshd")
    assert set(plan.facts) == {"b"}


def test_a_plan_without_any_usable_host_builds_nothing() -> None:
    plan = make_plan(make_input({"a": with_torch(FACTS, None)}))
    assert (verdicts(plan), plan.wheels) == ({"a": REJECT}, ())


def without_compilers(facts: Facts) -> Facts:
    return replace(facts, compilers=())


BARE = without_compilers(FACTS)
OTHER = without_compilers(with_torch(FACTS, Torch(version="2.12.1+cpu")))


def test_a_wheel_that_nobody_can_build_rejects_its_hosts_and_the_others_go_on() -> None:
    plan = make_plan(make_input({"a": OTHER, "b": FACTS, "c": OTHER}, controller=BARE))
    assert verdicts(plan) == {"a": REJECT, "b": INSTALL, "c": REJECT}
    assert [wheel.hosts for wheel in plan.wheels] == [("b",)]
    first, _, last = plan.hosts
    assert (first.reason, first.hint) == (last.reason, last.hint)
    assert "2.12.1+cpu" in first.reason
    assert first.hint


def test_a_wheel_that_exists_goes_on_beside_one_that_nobody_can_build(
    artifact: Artifact, store: dict[BuildKey, Artifact]
) -> None:
    plan = make_plan(make_input({"a": OTHER, "b": BARE}, store=store, controller=BARE))
    assert [(wheel.hosts, wheel.sha256) for wheel in plan.wheels] == [(("b",), artifact.sha256)]


def test_a_plan_without_anybody_who_can_build_says_so_of_every_wheel() -> None:
    with pytest.raises(PlanError) as alone:
        make_plan(make_input({"b": BARE}, controller=BARE))
    with pytest.raises(PlanError) as both:
        make_plan(make_input({"a": OTHER, "b": BARE}, controller=BARE))
    assert alone.value.message in both.value.message
    assert "2.12.1+cpu" in both.value.message
    assert both.value.hint == alone.value.hint


def test_a_wish_that_no_wheel_can_be_built_by_is_told_once() -> None:
    other = with_torch(FACTS, Torch(version="2.12.1+cpu"))
    with pytest.raises(PlanError) as error:
        make_plan(replace(make_input({"a": other, "b": FACTS}), builder_wish="nowhere"))
    assert error.value.message.count("nowhere") == 1


def test_a_required_op_that_cannot_be_built_stops_the_plan_before_anything_is_done() -> None:
    plan = make_plan(make_input(FRESH, recipe=replace(RECIPE, required=("cpu_adam", "async_io"))))
    with pytest.raises(PlanError, match="async_io: libaio"):
        check_nothing_is_refused(plan.wheels)


def test_a_plan_with_skipped_optional_ops_is_accepted() -> None:
    check_nothing_is_refused(make_plan(make_input(FRESH, recipe=replace(RECIPE, required=("cpu_adam",)))).wheels)


def test_a_saved_plan_fits_the_hosts_that_it_was_made_from() -> None:
    plan = make_plan(make_input(FRESH))
    saved = from_document(DeployPlan, json.loads(json.dumps(to_document(plan))))
    assert saved == plan
    check_plan_still_fits(saved, FRESH)


def test_a_saved_plan_names_the_hosts_that_changed() -> None:
    plan = make_plan(make_input({"w0": FACTS, "w1": FACTS, "w2": FACTS}))
    now = {"w0": FACTS, "w1": with_system(cpu_level=CpuLevel.X86_64_V2)}
    with pytest.raises(PlanError, match=r"w\[1-2\] changed"):
        check_plan_still_fits(plan, now)


def test_free_memory_may_drift_between_plan_and_run() -> None:
    now = replace(FACTS, system=replace(FACTS.system, memory_available_bytes=5_000_000_000))
    check_plan_still_fits(make_plan(make_input({"a": FACTS})), {"a": now})


@given(fleets(usable_facts()))
def test_a_plan_that_was_executed_is_empty_when_made_again(facts: dict[str, Facts]) -> None:
    after, wheels = execute(make_plan(make_input(facts)), facts, {})
    assert make_plan(make_input(after, store=wheels)).is_empty
    assert make_plan(make_input(after)).is_empty


@given(fleets(usable_facts()), st.data())
def test_a_run_after_some_hosts_changed_touches_them_and_then_nothing(
    facts: dict[str, Facts], data: st.DataObject
) -> None:
    after, wheels = execute(make_plan(make_input(facts)), facts, {})
    reset = data.draw(st.sets(st.sampled_from(sorted(after))))
    mixed = {host: facts[host] if host in reset else found for host, found in after.items()}
    second = make_plan(make_input(mixed, store=wheels))
    assert {row.host for row in second.of_verdict(INSTALL)} == reset
    final, wheels = execute(second, mixed, wheels)
    assert make_plan(make_input(final, store=wheels)).is_empty


@given(fleets(st.one_of(usable_facts(), st.sampled_from([with_torch(FACTS, None), with_system(glibc=None)]))))
def test_every_host_has_one_row_and_every_installable_host_one_wheel(facts: dict[str, Facts]) -> None:
    plan = make_plan(make_input(facts))
    assert [row.host for row in plan.hosts] == list(facts)
    for row in plan.hosts:
        holders = [wheel for wheel in plan.wheels if row.host in wheel.hosts]
        assert [wheel.build_key for wheel in holders] == ([] if row.verdict is REJECT else [row.build_key])
        assert row.reason
    for wheel in plan.wheels:
        assert (wheel.builder is None) == (wheel.verdict is not BUILD)
        assert (wheel.sha256 is None) == (wheel.verdict is BUILD)


@given(fleets(usable_facts()), st.data())
def test_the_order_of_the_facts_is_irrelevant(facts: dict[str, Facts], data: st.DataObject) -> None:
    shuffled = {name: facts[name] for name in data.draw(st.permutations(list(facts)))}
    given_input = make_input(facts)
    assert make_plan(replace(given_input, facts=shuffled)) == make_plan(given_input)
