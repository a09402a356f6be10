from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.deployments import IDENTITY, World, add_artifact, make_world, plan_host, plan_wheel
from fakes.hosts import SYSTEM, make_facts
from fakes.wheels import make_signature

from orchestrator.errors import (
    ExitCode,
    StoreError,
)
from orchestrator.model.deployment import DeploymentResult
from orchestrator.model.events import HostProgress, Stage, StageStarted
from orchestrator.model.plan import HostVerdict
from orchestrator.model.wheels import BuildKey
from orchestrator.stages.deploy import deploy

CHANGING = ["activate", "verify", "verified", "commit"]
"""What happens behind the barrier."""


def run(world: World) -> DeploymentResult:
    return deploy(world.deploy_task, world.deploy_ports)


def codes(result: DeploymentResult) -> dict[str, ExitCode]:
    return {outcome.host: outcome.failure.exit_code for outcome in result.failures if outcome.failure}


def test_a_deployment_goes_through_all_steps_on_all_hosts(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    result = run(world)
    assert result.deployment == IDENTITY.id
    assert result.committed == ("worker-0", "worker-1")
    assert (result.failures, result.exit_code) == ((), ExitCode.DONE)
    assert all(verification.is_good for verification in result.verifications.values())
    assert result.fan_out is not None
    assert list(result.fan_out.topology.parents) == ["worker-0", "worker-1"]
    steps = list(dict.fromkeys(operation for _, operation in world.fleet.requests))
    assert steps == ["hold", "has", "put", "stage", *CHANGING]
    assert not any(remote.is_held for remote in world.fleet.remotes.values())
    assert [event.stage for event in world.reporter.of(StageStarted)] == [
        Stage.LOCK,
        Stage.FAN_OUT,
        Stage.STAGE,
        Stage.ACTIVATE,
        Stage.VERIFY,
        Stage.COMMIT,
    ]


def test_the_stamp_says_what_went_in_and_who_did_it(tmp_path: Path) -> None:
    world = make_world(tmp_path, ["worker-0"])
    run(world)
    assert world.fleet.remotes["worker-0"].stamp == {
        "schema": "dsdeploy.stamp/1",
        "deployment": IDENTITY.id,
        "prefix": "/opt/venv",
        "build_key": world.artifact.manifest.build_key,
        "wheel_sha256": world.artifact.sha256,
        "version": "0.19.8+torch2.13.cpu",
        "record_sha256": "c" * 64,
        "torch_version": "2.13.0+cpu",
        "committed_at": IDENTITY.started_at,
        "committed_by": IDENTITY.author,
        "gpus": [],
        "driver": None,
        "torch_file": None,
        "replaced": None,
        "restores": None,
    }


def test_the_agent_is_told_which_files_go_into_which_interpreter(tmp_path: Path) -> None:
    world = make_world(tmp_path, ["worker-0"], requires=["einops"])
    run(world)
    remote, wheel = world.fleet.remotes["worker-0"], world.artifact
    asked = remote.parameters["stage"]
    assert asked == {**remote.parameters["activate"], "even_if_busy": False}
    assert asked["python"] == "/opt/venv/bin/python"
    assert asked["version"] == wheel.manifest.deepspeed_version
    path = f"cache:wheels/{wheel.sha256}/{wheel.filename}"
    assert asked["wheel"] == {"path": path, "sha256": wheel.sha256, "size": wheel.size_bytes}
    assert [file["path"].rpartition("/")[2] for file in asked["dependencies"]] == ["einops-py3-none-any.whl"]
    paths = {path, asked["pip"]["path"], asked["dependencies"][0]["path"]}
    assert paths == set(remote.files)
    assert asked["need_bytes"] > sum(len(content) for content in remote.files.values())
    verified = remote.parameters["verify"]
    assert verified["ops"] == [{"name": "cpu_adam", "module": "deepspeed.ops.adam.cpu_adam_op"}]
    assert (verified["version"], verified["accelerator"]) == (wheel.manifest.deepspeed_version, "cpu")


def test_the_op_that_a_host_checks_is_told(tmp_path: Path) -> None:
    world = make_world(tmp_path, ["worker-0"])
    run(world)
    told = [event.text for event in world.reporter.of(HostProgress) if event.stage is Stage.VERIFY]
    assert told == ["", "cpu_adam"]


def test_kept_and_rejected_hosts_are_not_asked_anything(tmp_path: Path) -> None:
    world = make_world(tmp_path, ["kept", "rejected", "installed"])
    key = world.artifact.manifest.build_key
    rows = (plan_host("kept", key, HostVerdict.KEEP), plan_host("rejected", None, HostVerdict.REJECT))
    world.plan = replace(world.plan, hosts=(*rows, plan_host("installed", key)))
    assert run(world).committed == ("installed",)
    assert {host for host, _ in world.fleet.requests} == {"installed"}


def test_every_signature_gets_its_own_wheel(tmp_path: Path) -> None:
    world = make_world(tmp_path, ["old", "new"])
    signature = make_signature(torch_version="2.14.0+cpu")
    other = add_artifact(
        world.store,
        tmp_path / "other",
        build_key=BuildKey("other"),
        signature=signature,
        deepspeed_version="0.19.8+torch2.14.cpu",
    )
    interpreter = make_facts().interpreter
    assert interpreter is not None
    assert interpreter.torch is not None
    newer = replace(interpreter, torch=replace(interpreter.torch, version="2.14.0+cpu"))
    world.facts = {**world.facts, "new": make_facts(interpreter=newer)}
    hosts = (world.plan.hosts[0], plan_host("new", BuildKey("other")))
    world.plan = replace(world.plan, hosts=hosts, wheels=(*world.plan.wheels, plan_wheel(other, ["new"])))
    assert run(world).committed == ("old", "new")
    went_in = {name: remote.parameters["activate"]["wheel"]["sha256"] for name, remote in world.fleet.remotes.items()}
    assert went_in == {"old": world.artifact.sha256, "new": other.sha256}


def test_a_wheel_that_does_not_fit_one_host_ends_it_before_any_host_is_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.facts = {**world.facts, "worker-1": make_facts(system=replace(SYSTEM, machine="aarch64"))}
    result = run(world)
    assert codes(result) == {"worker-1": ExitCode.PLAN}
    assert world.fleet.requests == []


def test_a_dependency_that_cannot_be_had_ends_it_before_any_host_is_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path, requires=["einops"], absent=["einops"])
    result = run(world)
    assert codes(result) == {"worker-0": ExitCode.TRANSFER, "worker-1": ExitCode.TRANSFER}
    assert world.fleet.requests == []


def test_a_wheel_damaged_in_the_store_ends_it_before_any_host_is_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.store.path_of(world.artifact).write_bytes(b"rotten")
    with pytest.raises(StoreError):
        run(world)
    assert world.fleet.requests == []
