from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.carrier import FakeCarrier
from fakes.deployments import World, make_world
from fakes.fleet import FakeFleet
from fakes.hosts import INTERPRETER, make_facts
from fakes.reporter import FakeReporter

from orchestrator.errors import ExitCode, InstallError, TransferError
from orchestrator.model.events import FanOutReported, HostFinished, HostProgress, Stage, StageFinished, StageStarted
from orchestrator.model.outcome import Delivery
from orchestrator.ports import TargetTags
from orchestrator.stages.bundle import PIP, Bundle, Bundler, wheel_parcel
from orchestrator.stages.fan_out import fan_out
from orchestrator.stages.on_hosts import on_hosts


def bundle_for(world: World, *requires: str) -> Bundle:
    return make_bundler(world, *requires).bundle_for(make_facts())


def make_bundler(world: World, *requires: str) -> Bundler:
    return Bundler(wheel_parcel(world.artifact, world.store), requires, world.index)


def test_a_bundle_is_the_wheel_pip_and_what_the_host_lacks(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    bundle = bundle_for(world, "numpy", "einops", 'pywin32; sys_platform == "win32"')
    assert bundle.wheel.path == f"cache:wheels/{world.artifact.sha256}/{world.artifact.filename}"
    assert [parcel.source.name for parcel in bundle.dependencies] == ["einops-py3-none-any.whl"]
    assert bundle.parcels == (bundle.wheel, bundle.pip, *bundle.dependencies)
    assert bundle.size_bytes == sum(parcel.source.stat().st_size for parcel in bundle.parcels)


def test_wheels_are_asked_for_by_the_hosts_tags_with_what_it_has_kept(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    bundle_for(world, "einops", "numpy>=9")
    tags = TargetTags(python_version="3.11.7", abi_tag="cp311", machine="x86_64", glibc="2.36")
    assert world.index.asked == [
        (("einops", "numpy>=9"), tags, {"torch": "2.13.0+cpu"}),
        ((PIP,), tags, {}),
    ]


def test_a_host_that_lacks_nothing_asks_for_pip_alone(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    assert bundle_for(world, "numpy").dependencies == ()
    assert [asked[0] for asked in world.index.asked] == [(PIP,)]


def test_a_host_without_an_interpreter_has_no_bundle(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    facts = make_facts(interpreter=None, interpreter_error="no such file")
    with pytest.raises(InstallError, match="no such file"):
        make_bundler(world).bundle_for(facts)


def test_hosts_in_which_the_same_is_installed_share_a_bundle(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    bundler = make_bundler(world, "einops")
    other = make_facts(interpreter=replace(INTERPRETER, distributions={"torch": "2.13.0+cpu", "einops": "0.8"}))
    assert bundler.bundle_for(make_facts()) is bundler.bundle_for(make_facts())
    assert bundler.bundle_for(other).dependencies == ()


def test_every_host_gets_its_own_bundle(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    bundles = {"worker-0": bundle_for(world, "einops"), "worker-1": bundle_for(world)}
    result = fan_out(bundles, carrier=FakeCarrier(), fleet=world.fleet, reporter=world.reporter)
    assert result.outcomes.values() == {
        host: Delivery(sent_bytes=bundle.size_bytes, kept_bytes=0) for host, bundle in bundles.items()
    }
    held = {host: set(remote.files) for host, remote in world.fleet.remotes.items()}
    assert held == {host: {parcel.path for parcel in bundle.parcels} for host, bundle in bundles.items()}


def test_a_host_whose_disk_is_full_does_not_stop_the_others(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    carrier = FakeCarrier({"worker-0": TransferError("no space left")})
    bundles = dict.fromkeys(world.facts, bundle_for(world))
    outcomes = fan_out(bundles, carrier=carrier, fleet=world.fleet, reporter=world.reporter).outcomes
    assert [outcome.host for outcome in outcomes.failed] == ["worker-0"]
    assert list(outcomes.values()) == ["worker-1"]


def test_what_a_fan_out_took_is_told_before_it_ends(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    bundles = dict.fromkeys(world.facts, bundle_for(world))
    report = fan_out(bundles, carrier=FakeCarrier(), fleet=world.fleet, reporter=world.reporter).report
    assert world.reporter.events == [
        StageStarted(stage=Stage.FAN_OUT, total=2),
        HostFinished(stage=Stage.FAN_OUT, host="worker-0", is_ok=True, elapsed_s=0.25),
        HostFinished(stage=Stage.FAN_OUT, host="worker-1", is_ok=True, elapsed_s=0.25),
        FanOutReported(report=report),
        StageFinished(stage=Stage.FAN_OUT, elapsed_s=report.elapsed_s),
    ]


def test_a_stage_tells_who_begins_who_ends_and_how_long_the_slowest_took() -> None:
    reporter = FakeReporter()
    fleet = FakeFleet(dict.fromkeys(["a", "b"], make_facts()), unreachable=["b"])
    outcomes = on_hosts(Stage.PROBE, ["a", "b"], lambda remote: remote.host, fleet=fleet, reporter=reporter)
    assert outcomes.values() == {"a": "a"}
    (failed,) = outcomes.failed
    assert failed.failure is not None
    assert failed.failure.exit_code is ExitCode.HOST
    assert reporter.events == [
        StageStarted(stage=Stage.PROBE, total=2),
        HostProgress(stage=Stage.PROBE, host="a"),
        HostProgress(stage=Stage.PROBE, host="b"),
        HostFinished(stage=Stage.PROBE, host="a", is_ok=True, elapsed_s=0.25),
        HostFinished(stage=Stage.PROBE, host="b", is_ok=False, text=failed.failure.message, elapsed_s=0.25),
        StageFinished(stage=Stage.PROBE, elapsed_s=0.25),
    ]


def test_a_stage_of_no_hosts_is_not_told() -> None:
    reporter = FakeReporter()
    outcomes = on_hosts(Stage.COMMIT, [], lambda remote: remote.host, fleet=FakeFleet({}), reporter=reporter)
    assert (outcomes.items, reporter.events) == ((), [])
