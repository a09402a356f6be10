"""A deployment of a wheel that cannot work somewhere: no host is changed, and not a byte is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from crafted_objects import compile_calling, compile_needing
from fakes.deployments import World, make_world, plan_host, plan_wheel
from fakes.store import MemoryStore
from fakes.wheels import make_manifest, make_wheel

from orchestrator.errors import ExitCode
from orchestrator.model.deployment import HostEnd
from orchestrator.stages.deploy import deploy

pytestmark = pytest.mark.process

ERROR = "_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"


def make_world_with(folder: Path, library: Path) -> World:
    """Two hosts that are to get a wheel of this library, whose manifest fits them."""
    world = make_world(folder, ["a", "b"])
    store = MemoryStore(folder / "other")
    wheel = make_wheel(folder, files={"deepspeed/ops/adam/cpu_adam_op.so": library.read_bytes()})
    artifact = store.add(wheel, make_manifest())
    plan = replace(
        world.plan,
        hosts=tuple(plan_host(host, artifact.manifest.build_key) for host in ("a", "b")),
        wheels=(plan_wheel(artifact, ["a", "b"]),),
    )
    return replace(world, artifact=artifact, store=store, plan=plan)


def test_a_symbol_that_one_hosts_torch_lacks_keeps_the_wheel_from_all(tmp_path: Path) -> None:
    world = make_world_with(tmp_path, compile_calling(tmp_path, ERROR))
    world.fleet.remotes["a"].answers["symbols"] = {"missing": {}}
    world.fleet.remotes["b"].answers["symbols"] = {"missing": {"libc10.so": [ERROR]}}
    result = deploy(world.deploy_task, world.deploy_ports)
    assert result.ends == {"a": HostEnd.OLD, "b": HostEnd.OLD}
    assert [outcome.host for outcome in result.failures] == ["b"]
    assert result.exit_code is ExitCode.PLAN
    assert world.fleet.requests == [("a", "symbols"), ("b", "symbols")]


def test_hosts_whose_torch_has_every_symbol_get_the_wheel(tmp_path: Path) -> None:
    world = make_world_with(tmp_path, compile_calling(tmp_path, ERROR))
    for remote in world.fleet.remotes.values():
        remote.answers["symbols"] = {"missing": {}}
    assert deploy(world.deploy_task, world.deploy_ports).committed == ("a", "b")


def test_a_file_that_gives_its_manifest_the_lie_keeps_the_wheel_from_all(tmp_path: Path) -> None:
    world = make_world_with(tmp_path, compile_needing(tmp_path, "GLIBC_2.99"))
    result = deploy(world.deploy_task, world.deploy_ports)
    assert result.exit_code is ExitCode.PLAN
    assert [outcome.host for outcome in result.failures] == ["a", "b"]
    assert all(
        outcome.failure and "cpu_adam_op needs GLIBC_2.99" in outcome.failure.message for outcome in result.failures
    )
    assert world.fleet.requests == []
