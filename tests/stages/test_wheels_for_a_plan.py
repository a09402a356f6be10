from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.deployments import World, make_world, plan_host
from fakes.hosts import with_deployment
from fakes.store import MemoryStore
from fakes.wheels import make_manifest, make_wheel

from orchestrator.errors import ExitCode, HostError, PlanError
from orchestrator.model.events import HostFinished, Stage, StageFinished, StageStarted
from orchestrator.model.ops import OpDecision, OpVerdict
from orchestrator.model.outcome import Outcomes
from orchestrator.model.plan import Builder, HostVerdict, WheelVerdict
from orchestrator.model.wheels import Artifact, BuildKey
from orchestrator.stages.build import failed_wheels, have_wheels


def have(world: World) -> Outcomes[Artifact]:
    return have_wheels(world.build_task, world.build_ports)


def codes(outcomes: Outcomes[Artifact]) -> list[ExitCode]:
    return [outcome.failure.exit_code for outcome in outcomes.failed if outcome.failure]


def to_fetch(world: World) -> None:
    """Let the wheel be on worker-1 only."""
    wheel = replace(world.plan.wheels[0], verdict=WheelVerdict.FETCH)
    world.plan = replace(world.plan, wheels=(wheel,))
    path, artifact = world.store.path_of(world.artifact), world.artifact
    world.fleet.remotes["worker-1"].files[f"cache:wheels/{artifact.sha256}/{artifact.filename}"] = path.read_bytes()
    world.facts = {**world.facts, "worker-1": with_deployment(world.facts["worker-1"], artifact)}
    world.store = MemoryStore(world.folder / "empty")


def to_build(world: World, *, host: str | None = "worker-0") -> None:
    builder = Builder(host=host, reason="for a test")
    wheel = replace(world.plan.wheels[0], verdict=WheelVerdict.BUILD, builder=builder, sha256=None)
    world.plan = replace(world.plan, wheels=(wheel,))


def test_a_wheel_in_the_store_is_taken_from_there_and_nobody_is_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    assert have(world).values() == {world.artifact.manifest.build_key: world.artifact}
    assert (world.fleet.requests, world.reporter.events) == ([], [])


def test_a_wheel_that_every_host_keeps_need_not_be_in_the_store(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    key = world.artifact.manifest.build_key
    world.plan = replace(world.plan, hosts=tuple(plan_host(host, key, HostVerdict.KEEP) for host in world.facts))
    world.store = MemoryStore(world.folder / "empty")
    assert have(world).items == ()


def test_a_wheel_that_left_the_store_since_the_plan_is_a_store_failure(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.store = MemoryStore(world.folder / "empty")
    outcomes = have(world)
    assert codes(outcomes) == [ExitCode.TRANSFER]
    (failed,) = failed_wheels(outcomes, world.plan)
    assert failed.host == world.artifact.manifest.signature.label


def test_a_wheel_that_only_a_host_holds_is_fetched_into_the_store(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_fetch(world)
    (artifact,) = have(world).values().values()
    assert artifact == world.artifact
    assert world.store.get(artifact.sha256) == artifact
    assert world.fleet.requests == [("worker-1", "get")]


def test_a_holder_whose_cache_was_emptied_is_a_failure_and_not_a_bug(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_fetch(world)
    world.facts = {**world.facts, "worker-1": replace(world.facts["worker-1"], cached_wheels=())}
    assert codes(have(world)) == [ExitCode.TRANSFER]
    assert world.fleet.requests == []


@pytest.mark.parametrize("content", [b"no wheel at all", None])
def test_what_cannot_be_fetched_whole_does_not_get_into_the_store(tmp_path: Path, content: bytes | None) -> None:
    world = make_world(tmp_path)
    to_fetch(world)
    files = world.fleet.remotes["worker-1"].files
    (path,) = files
    if content is None:
        del files[path]
    else:
        files[path] = content
    assert codes(have(world)) == [ExitCode.TRANSFER]
    assert world.store.all() == ()


def test_a_failed_build_is_told_with_its_label_and_how_long_it_took(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world)
    world.fleet.remotes["worker-0"].errors["workspace"] = HostError("no space for a workspace")
    outcomes = have(world)
    assert codes(outcomes) == [ExitCode.HOST]
    (finished,) = world.reporter.of(HostFinished)
    assert (finished.stage, finished.is_ok) == (Stage.BUILD, False)
    assert finished.host == world.artifact.manifest.signature.label
    assert finished.text == "no space for a workspace"
    assert finished.elapsed_s == 1.0
    assert world.reporter.of(StageStarted) == [StageStarted(stage=Stage.BUILD, total=1)]
    assert [event.elapsed_s for event in world.reporter.of(StageFinished)] == [3.0]


def test_the_controller_builds_when_no_host_is_named(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world, host=None)
    world.fleet.unreachable = ["controller"]
    assert codes(have(world)) == [ExitCode.HOST]


def test_a_build_that_fails_does_not_stop_another_wheel(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    reuse, key = world.plan.wheels[0], BuildKey("other")
    to_build(world)
    broken = replace(world.plan.wheels[0], build_key=key, hosts=("worker-1",))
    world.plan = replace(world.plan, wheels=(broken, reuse))
    world.fleet.remotes["worker-0"].errors["workspace"] = HostError("lost")
    outcomes = have(world)
    assert [outcome.host for outcome in outcomes.failed] == [key]
    assert outcomes.values() == {world.artifact.manifest.build_key: world.artifact}


class BusyStore(MemoryStore):
    """Another process has the lock, and adds its wheel before it lets go."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        super().__init__(folder)
        self._wheel = wheel

    @contextmanager
    def lock(self, key: BuildKey) -> Iterator[None]:
        with super().lock(key):
            self.add(self._wheel, make_manifest(build_key=key))
            yield


def test_what_another_process_built_while_we_waited_is_taken(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world)
    world.store = BusyStore(tmp_path / "busy", make_wheel(tmp_path, manifest=make_manifest()))
    (artifact,) = have(world).values().values()
    assert world.store.all() == (artifact,)
    assert world.fleet.requests == []


def test_a_wheel_that_was_there_before_the_wait_does_not_stop_a_forced_build(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world)
    world.fleet.remotes["worker-0"].errors["workspace"] = HostError("lost")
    assert world.store.find(world.plan.wheels[0].build_key) == world.artifact
    assert codes(have(world)) == [ExitCode.HOST]


def test_a_refused_op_ends_it_before_anything_is_done(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world)
    refused = OpDecision(op="async_io", build_variable="DS_BUILD_AIO", verdict=OpVerdict.REFUSE, reason="no libaio")
    world.plan = replace(world.plan, wheels=(replace(world.plan.wheels[0], ops=(refused,)),))
    with pytest.raises(PlanError, match="async_io: no libaio"):
        have(world)
    assert (world.fleet.requests, world.reporter.events) == ([], [])
