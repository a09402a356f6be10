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
from orchestrator.model.deployment import DeploymentResult
from orchestrator.model.facts import Facts
from orchestrator.model.hosts import Host
from orchestrator.model.ops import OpSpec
from orchestrator.model.plan import HostVerdict, WheelVerdict
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Accelerator
from orchestrator.stages.plan import Planned, PlanTask, plan_deployment
from orchestrator.stages.probe import probe, target_python
from orchestrator.stages.provision import provision

OP = OpSpec(name="cpu_adam", build_variable="DS_BUILD_CPU_ADAM", accelerator=Accelerator.CPU)


def plan(fleet: FakeFleet, hosts: list[Host], recipe: Recipe = RECIPE, *, python: str | None = None) -> Planned:
    """Plan with an empty store."""
    task = PlanTask(
        hosts=hosts, recipe=recipe, specs=[OP], controller=make_facts, builder="auto", python=python, force=False
    )
    return plan_deployment(task, fleet=fleet, store=MemoryStore(Path("nowhere")), reporter=FakeReporter())


def run(world: World) -> DeploymentResult:
    return provision(IDENTITY, world.build_task, build_ports=world.build_ports, deploy_ports=world.deploy_ports)


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
    assert (result.exit_code, result.committed, result.changed) == (ExitCode.TRANSFER, (), ())
    assert world.fleet.requests == []


def test_a_plan_that_keeps_all_hosts_asks_none(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    key = world.artifact.manifest.build_key
    world.plan = replace(world.plan, hosts=tuple(plan_host(host, key, HostVerdict.KEEP) for host in world.facts))
    result = run(world)
    assert (result.deployment, result.failures, result.built) == (IDENTITY.id, (), {})
    assert (world.fleet.requests, world.reporter.events) == ([], [])


def test_a_plan_needs_somebody_who_can_build() -> None:
    bare = make_facts(compilers=())
    task = PlanTask(
        hosts=[Host(name="a")], recipe=RECIPE, specs=[OP], controller=lambda: bare, builder="auto", python=None
    )
    with pytest.raises(PlanError):
        plan_deployment(task, fleet=FakeFleet({"a": bare}), store=MemoryStore(Path("nowhere")), reporter=FakeReporter())


def test_what_the_store_holds_is_planned_to_be_reused(tmp_path: Path) -> None:
    fleet, store = FakeFleet({"a": make_facts()}), MemoryStore(tmp_path / "store")
    first = plan(fleet, [Host(name="a")]).plan.wheels[0]
    add_artifact(store, tmp_path, build_key=first.build_key, signature=first.signature)
    task = PlanTask(
        hosts=[Host(name="a")], recipe=RECIPE, specs=[OP], controller=make_facts, builder="auto", python=None
    )
    planned = plan_deployment(task, fleet=fleet, store=store, reporter=FakeReporter())
    assert (first.verdict, planned.plan.wheels[0].verdict) == (WheelVerdict.BUILD, WheelVerdict.REUSE)
