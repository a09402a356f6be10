from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.deployments import IDENTITY, RECIPE, World, add_artifact, make_world, plan_host
from fakes.fleet import FakeFleet
from fakes.hosts import INTERPRETER, make_facts, with_deployment
from fakes.reporter import FakeReporter
from fakes.store import MemoryStore

from orchestrator.errors import ExitCode, PlanError
from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.deployment import DeploymentResult
from orchestrator.model.facts import Facts, Torch
from orchestrator.model.hosts import Host
from orchestrator.model.ops import OpDecision, OpSpec, OpVerdict
from orchestrator.model.plan import HostVerdict, WheelVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Accelerator
from orchestrator.stages.every_signature import tell_every_signature
from orchestrator.stages.plan import Planned, PlanTask, plan_deployment
from orchestrator.stages.probe import probe, target_python
from orchestrator.stages.provision import provision

OP = OpSpec(name="cpu_adam", build_variable="DS_BUILD_CPU_ADAM", accelerator=Accelerator.CPU)


def plan(fleet: FakeFleet, hosts: list[Host], recipe: Recipe = RECIPE, *, python: str | None = None) -> Planned:
    """Plan with an empty store."""
    task = PlanTask(
        hosts=hosts,
        recipe=recipe,
        specs=[OP],
        controller=lambda _: make_facts(),
        builder="auto",
        python=python,
        force=False,
    )
    return plan_deployment(task, fleet=fleet, store=MemoryStore(Path("nowhere")), reporter=FakeReporter())


def run(world: World) -> DeploymentResult:
    return provision(
        IDENTITY, world.build_task, world.policy, build_ports=world.build_ports, deploy_ports=world.deploy_ports
    )


@pytest.mark.parametrize(
    ("in_hostfile", "wished", "expected"),
    [("/a", "/b", "/a"), (None, "/b", "/b"), (None, None, "python3")],
)
def test_the_hostfiles_interpreter_wins_then_the_wished_one(
    in_hostfile: str | None, wished: str | None, expected: str
) -> None:
    assert target_python(Host(name="a", python=in_hostfile), wished) == expected


def test_a_probe_returns_what_each_host_said() -> None:
    facts: dict[str, Facts] = {"a": make_facts(), "b": make_facts(has_libaio=True)}
    hosts = [Host(name="a"), Host(name="b", python="/b/python")]
    fleet = FakeFleet(facts)
    assert probe(hosts, python="/p", fleet=fleet, reporter=FakeReporter()).values() == facts
    asked = {name: remote.parameters["facts"]["python"] for name, remote in fleet.remotes.items()}
    assert asked == {"a": "/p", "b": "/b/python"}


@pytest.mark.parametrize(("wished", "expected"), [(None, "/recipe"), ("/option", "/option")])
def test_the_option_beats_the_recipes_interpreter(wished: str | None, expected: str) -> None:
    fleet = FakeFleet({"a": make_facts()})
    plan(fleet, [Host(name="a")], replace(RECIPE, python="/recipe"), python=wished)
    assert fleet.remotes["a"].parameters["facts"]["python"] == expected


def test_hosts_that_cannot_be_probed_or_cannot_take_a_wheel_are_rejected_and_told_once() -> None:
    unfit = make_facts(interpreter=replace(INTERPRETER, torch=None))
    fleet = FakeFleet({"unfit": unfit, "gone": make_facts(), "fine": make_facts()}, unreachable=["gone"])
    planned = plan(fleet, [Host(name=name) for name in ("unfit", "gone", "fine")])
    assert [row.verdict for row in planned.plan.hosts] == [
        HostVerdict.REJECT,
        HostVerdict.REJECT,
        HostVerdict.INSTALL,
    ]
    codes = [(outcome.host, outcome.failure and outcome.failure.exit_code) for outcome in planned.rejections]
    assert codes == [("gone", ExitCode.HOST), ("unfit", ExitCode.PLAN)]
    assert all(outcome.failure and outcome.failure.hint for outcome in planned.rejections)


def test_rejected_hosts_are_no_work() -> None:
    fleet = FakeFleet({"gone": make_facts()}, unreachable=["gone"])
    plan_of_none = plan(fleet, [Host(name="gone")]).plan
    assert not plan_of_none.has_work
    assert not plan_of_none.is_empty


def test_a_provision_fetches_deploys_and_tells_what_was_built(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    artifact = world.artifact
    world.plan = replace(world.plan, wheels=(replace(world.plan.wheels[0], verdict=WheelVerdict.FETCH),))
    path = f"cache:wheels/{artifact.sha256}/{artifact.filename}"
    world.fleet.remotes["worker-0"].files[path] = world.store.path_of(artifact).read_bytes()
    world.facts = {**world.facts, "worker-0": with_deployment(world.facts["worker-0"], artifact)}
    world.store = MemoryStore(world.folder / "empty")
    result = run(world)
    assert (result.committed, result.built) == (("worker-0", "worker-1"), {})
    assert result.deliveries["worker-0"].kept_bytes == artifact.size_bytes


def test_a_wheel_that_cannot_be_had_ends_the_run_before_any_host_is_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.store = MemoryStore(world.folder / "empty")
    result = run(world)
    assert [outcome.host for outcome in result.failures] == [world.artifact.manifest.signature.label]
    assert (result.exit_code, result.ends) == (ExitCode.TRANSFER, {})
    assert world.fleet.requests == []


def test_a_refused_op_ends_a_provision_before_anything_is_done(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    refused = OpDecision(op="async_io", build_variable="DS_BUILD_AIO", verdict=OpVerdict.REFUSE, reason="no libaio")
    world.plan = replace(world.plan, wheels=(replace(world.plan.wheels[0], ops=(refused,)),))
    with pytest.raises(PlanError, match="async_io: no libaio"):
        run(world)
    assert (world.fleet.requests, world.reporter.events) == ([], [])


def test_a_plan_that_keeps_all_hosts_asks_none(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    key = world.artifact.manifest.build_key
    world.plan = replace(world.plan, hosts=tuple(plan_host(host, key, HostVerdict.KEEP) for host in world.facts))
    result = run(world)
    assert (result.deployment, result.failures, result.built) == (IDENTITY.id, (), {})
    assert (world.fleet.requests, world.reporter.events) == ([], [])


BARE = make_facts(compilers=())


def plan_without_compilers(facts: dict[str, Facts], store: MemoryStore) -> Planned:
    """Plan where the controller cannot build."""
    hosts = [Host(name=name) for name in facts]
    task = PlanTask(hosts=hosts, recipe=RECIPE, specs=[OP], controller=lambda _: BARE, builder="auto", python=None)
    return plan_deployment(task, fleet=FakeFleet(facts), store=store, reporter=FakeReporter())


def test_a_plan_needs_somebody_who_can_build(tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        plan_without_compilers({"a": BARE}, MemoryStore(tmp_path))


OTHER_TORCH = replace(BARE, interpreter=replace(INTERPRETER, torch=Torch(version="2.12.1+cpu")))


def test_a_signature_that_nobody_can_build_rejects_its_hosts_and_no_others(tmp_path: Path) -> None:
    facts = {"odd": OTHER_TORCH, "fine": make_facts(), "odd-2": OTHER_TORCH}
    planned = plan_without_compilers(facts, MemoryStore(tmp_path))
    assert [row.verdict for row in planned.plan.hosts] == [HostVerdict.REJECT, HostVerdict.INSTALL, HostVerdict.REJECT]
    assert [wheel.hosts for wheel in planned.plan.wheels] == [("fine",)]
    codes = {outcome.host: outcome.failure and outcome.failure.exit_code for outcome in planned.rejections}
    assert codes == {"odd": ExitCode.PLAN, "odd-2": ExitCode.PLAN}


def test_every_signature_is_told_of_in_the_order_of_the_hostfile(tmp_path: Path) -> None:
    store, kept = MemoryStore(tmp_path / "store"), with_torch("2.11.0+cpu")
    first = plan(FakeFleet({"kept": kept}), [Host(name="kept")]).plan.wheels[0]
    artifact = add_artifact(store, tmp_path, build_key=first.build_key, signature=first.signature)
    facts = {"odd": OTHER_TORCH, "fine": make_facts(), "kept": with_deployment(kept, artifact)}
    planned = plan_without_compilers(facts, store)
    fine = next(wheel for wheel in planned.plan.wheels if wheel.hosts == ("fine",))
    stored = WheelResult(signature=fine.signature, build_key=fine.build_key, hosts=fine.hosts, state=WheelState.STORED)
    odd, same, old = tell_every_signature(planned, [stored], store)
    assert same is stored
    assert (old.state, old.hosts, old.artifact, old.failure) == (WheelState.KEPT, ("kept",), artifact, None)
    assert (odd.state, odd.hosts, odd.artifact) == (WheelState.FAILED, ("odd",), None)
    assert odd.signature.torch_version == "2.12.1+cpu"
    assert odd.failure is not None
    assert odd.failure.exit_code is ExitCode.PLAN


def with_torch(version: str) -> Facts:
    return make_facts(interpreter=replace(INTERPRETER, torch=Torch(version=version)))


def test_what_the_store_holds_is_planned_to_be_reused(tmp_path: Path) -> None:
    fleet, store = FakeFleet({"a": make_facts()}), MemoryStore(tmp_path / "store")
    first = plan(fleet, [Host(name="a")]).plan.wheels[0]
    add_artifact(store, tmp_path, build_key=first.build_key, signature=first.signature)
    task = PlanTask(
        hosts=[Host(name="a")],
        recipe=RECIPE,
        specs=[OP],
        controller=lambda _: make_facts(),
        builder="auto",
        python=None,
    )
    planned = plan_deployment(task, fleet=fleet, store=store, reporter=FakeReporter())
    assert (first.verdict, planned.plan.wheels[0].verdict) == (WheelVerdict.BUILD, WheelVerdict.REUSE)
