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

from orchestrator.errors import ExitCode, HostError
from orchestrator.model.building import WheelResult, WheelState
from orchestrator.model.events import HostFinished, Stage, StageFinished, StageStarted
from orchestrator.model.ops import OpDecision, OpVerdict
from orchestrator.model.plan import Builder, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.model.wheels import BuildKey
from orchestrator.stages.build import have_wheels

TOOLCHAIN = Toolchain(kind=ToolchainKind.HOST, reason="for a test", cxx="/usr/bin/g++", cxx_version="12.2.0")
REFUSED = OpDecision(op="async_io", build_variable="DS_BUILD_AIO", verdict=OpVerdict.REFUSE, reason="no libaio")


def have(world: World) -> tuple[WheelResult, ...]:
    return have_wheels(world.build_task, world.build_ports)


def codes(results: tuple[WheelResult, ...]) -> list[ExitCode]:
    return [result.failure.exit_code for result in results if result.failure]


def states(results: tuple[WheelResult, ...]) -> list[WheelState]:
    return [result.state for result in results]


def to_fetch(world: World) -> None:
    """Let the wheel be on worker-1 only."""
    wheel = replace(world.plan.wheels[0], verdict=WheelVerdict.FETCH)
    world.plan = replace(world.plan, wheels=(wheel,))
    path, artifact = world.store.path_of(world.artifact), world.artifact
    world.fleet.remotes["worker-1"].files[f"cache:wheels/{artifact.sha256}/{artifact.filename}"] = path.read_bytes()
    world.facts = {**world.facts, "worker-1": with_deployment(world.facts["worker-1"], artifact)}
    world.store = MemoryStore(world.folder / "empty")


def to_build(world: World, *, host: str | None = "worker-0") -> None:
    builder = Builder(host=host, reason="for a test", toolchain=TOOLCHAIN)
    wheel = replace(world.plan.wheels[0], verdict=WheelVerdict.BUILD, builder=builder, sha256=None)
    world.plan = replace(world.plan, wheels=(wheel,))


def test_a_wheel_in_the_store_is_taken_from_there_and_nobody_is_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    (result,) = have(world)
    assert (result.state, result.artifact, result.hosts) == (WheelState.STORED, world.artifact, tuple(world.facts))
    assert (world.fleet.requests, world.reporter.events) == ([], [])


def test_a_wheel_that_every_host_keeps_need_not_be_in_the_store(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    key = world.artifact.manifest.build_key
    world.plan = replace(world.plan, hosts=tuple(plan_host(host, key, HostVerdict.KEEP) for host in world.facts))
    world.store = MemoryStore(world.folder / "empty")
    assert have(world) == ()


def test_a_wheel_that_left_the_store_since_the_plan_is_a_store_failure(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.store = MemoryStore(world.folder / "empty")
    (result,) = have(world)
    assert (result.state, codes((result,))) == (WheelState.FAILED, [ExitCode.TRANSFER])
    assert result.outcome.host == world.artifact.manifest.signature.label
    assert not result.outcome.is_ok


def test_a_wheel_that_only_a_host_holds_is_fetched_into_the_store(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_fetch(world)
    (result,) = have(world)
    assert (result.state, result.artifact) == (WheelState.FETCHED, world.artifact)
    assert world.store.get(world.artifact.sha256) == world.artifact
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
    assert codes(have(world)) == [ExitCode.HOST]
    (finished,) = world.reporter.of(HostFinished)
    assert (finished.stage, finished.is_ok) == (Stage.BUILD, False)
    assert finished.host == world.artifact.manifest.signature.label
    assert finished.text == "no space for a workspace"
    assert finished.elapsed_s >= 1.0
    assert world.reporter.of(StageStarted) == [StageStarted(stage=Stage.BUILD, total=1)]
    (stage,) = world.reporter.of(StageFinished)
    assert stage.elapsed_s > finished.elapsed_s


def test_the_controller_builds_when_no_host_is_named(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world, host=None)
    world.fleet.unreachable = ["controller"]
    assert codes(have(world)) == [ExitCode.HOST]


def broken_wheel(world: World, **changes: object) -> WheelPlan:
    """Another signature's wheel, whose builder has no room for it."""
    to_build(world)
    world.fleet.remotes["worker-0"].errors["workspace"] = HostError("lost")
    values = {"build_key": BuildKey("other"), "hosts": ("worker-1",), **changes}
    return replace(world.plan.wheels[0], **values)  # type: ignore[arg-type]


def test_a_build_that_fails_does_not_stop_another_wheel(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    reuse = world.plan.wheels[0]
    world.plan = replace(world.plan, wheels=(broken_wheel(world), reuse))
    failed, stored = have(world)
    assert (failed.build_key, failed.state, failed.artifact) == ("other", WheelState.FAILED, None)
    assert (stored.state, stored.artifact) == (WheelState.STORED, world.artifact)


def test_a_build_that_fails_does_not_stop_another_build(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    broken = broken_wheel(world)
    world.plan = replace(world.plan, wheels=(broken, world.plan.wheels[0]))
    world.store = BusyStore(tmp_path / "busy", make_wheel(tmp_path, manifest=make_manifest()))
    world.store.busy_keys = {world.plan.wheels[1].build_key}
    assert states(have(world)) == [WheelState.FAILED, WheelState.STORED]
    assert [event.is_ok for event in world.reporter.of(HostFinished)] == [False, True]
    assert world.reporter.of(StageStarted) == [StageStarted(stage=Stage.BUILD, total=2)]


def test_a_refused_op_fails_its_own_signature_only(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    reuse = world.plan.wheels[0]
    world.plan = replace(world.plan, wheels=(broken_wheel(world, ops=(REFUSED,)), reuse))
    results = have(world)
    assert (states(results), codes(results)) == ([WheelState.FAILED, WheelState.STORED], [ExitCode.PLAN])
    assert results[0].failure is not None
    assert "async_io: no libaio" in results[0].failure.message
    assert world.fleet.requests == []


def test_a_plan_that_does_not_say_with_what_to_compile_is_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    builder = Builder(host="worker-0", reason="planned by an older dsdeploy")
    world.plan = replace(world.plan, wheels=(broken_wheel(world, builder=builder),))
    assert codes(have(world)) == [ExitCode.PLAN]
    assert world.fleet.requests == []


def test_a_failed_build_names_the_folder_of_its_logs_once_there_is_one(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.plan = replace(world.plan, wheels=(broken_wheel(world),))
    logs = world.build_ports.folders.logs / "other"
    assert [result.logs for result in have(world)] == [None]
    logs.mkdir(parents=True)
    assert [result.logs for result in have(world)] == [str(logs)]


class BusyStore(MemoryStore):
    """Another process has the lock, and adds its wheel before it lets go."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        super().__init__(folder)
        self._wheel = wheel
        self.busy_keys: set[BuildKey] | None = None
        """None: all."""

    @contextmanager
    def lock(self, key: BuildKey) -> Iterator[None]:
        with super().lock(key):
            if self.busy_keys is None or key in self.busy_keys:
                self.add(self._wheel, make_manifest(build_key=key))
            yield


def test_what_another_process_built_while_we_waited_is_taken(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world)
    world.store = BusyStore(tmp_path / "busy", make_wheel(tmp_path, manifest=make_manifest()))
    (result,) = have(world)
    assert world.store.all() == (result.artifact,)
    assert (result.state, result.timings) == (WheelState.STORED, None)
    assert world.fleet.requests == []


def test_a_wheel_that_was_there_before_the_wait_does_not_stop_a_forced_build(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    to_build(world)
    world.fleet.remotes["worker-0"].errors["workspace"] = HostError("lost")
    assert world.store.find(world.plan.wheels[0].build_key) == world.artifact
    assert codes(have(world)) == [ExitCode.HOST]
