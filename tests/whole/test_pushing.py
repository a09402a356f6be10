from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from wheel.wheelfile import WheelFile
from whole_tool import RECIPE, Controller, MakeCluster, Provisioned, reach

pytestmark = [pytest.mark.cluster, pytest.mark.build]


def test_push_builds_nothing_and_says_who_would(controller: Controller, make_cluster: MakeCluster) -> None:
    answer = controller.run("push", *reach(make_cluster(1)), *RECIPE, "--yes", "--json")
    assert answer.exit_code == 4
    assert "no wheel is built yet" in answer.document["error"]["message"]
    assert "dsdeploy build" in answer.document["error"]["hint"]
    assert not list(controller.logs.rglob("*.log"))


def test_a_wheel_file_is_installed_on_every_host_by_a_controller_that_built_nothing(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(2)
    answer = controller.run("push", *reach(cluster), "--wheel", provisioned.wheel, "--yes", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.document["committed"] == ["worker-0", "worker-1"]
    assert all(verification["is_good"] for verification in answer.document["verifications"].values())
    again = controller.run("push", *reach(cluster), "--wheel", provisioned.wheel, "--yes", "--json")
    assert (again.exit_code, again.document["deliveries"]) == (0, {})


def repack(wheel: Path, folder: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Return a copy of a wheel with another content, None for none, under a RECORD that fits it."""
    with WheelFile(wheel) as source, WheelFile(folder / wheel.name, "w") as target:
        for member in source.infolist():
            content = change(member.filename, source.read(member))
            if content is not None and member.filename != source.record_path:
                target.writestr(member.filename, content)
    return folder / wheel.name


def test_a_wheel_of_which_one_byte_was_changed_is_refused_before_any_host_is_contacted(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster, tampered = make_cluster(1), tmp_path / provisioned.wheel.name
    with zipfile.ZipFile(provisioned.wheel) as source, zipfile.ZipFile(tampered, "w") as target:
        for member in source.infolist():
            content = bytearray(source.read(member))
            if "cpu_adam_op" in member.filename:
                content[-1] ^= 1
            target.writestr(member, bytes(content))
    answer = controller.run("push", *reach(cluster), "--wheel", tampered, "--yes", "--json")
    assert answer.exit_code == 6
    assert "cpu_adam_op" in answer.document["error"]["message"]
    assert cluster.hosts[0].count_accepted() == 0
    assert controller.wheels() == []


def test_a_wheel_that_dsdeploy_did_not_build_is_refused_before_any_host_is_contacted(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(1)
    foreign = repack(provisioned.wheel, tmp_path, lambda name, text: None if name.endswith("dsdeploy.json") else text)
    answer = controller.run("push", *reach(cluster), "--wheel", foreign, "--yes", "--json")
    assert answer.exit_code == 6
    assert "not built by dsdeploy" in answer.document["error"]["message"]
    assert cluster.hosts[0].count_accepted() == 0
    assert controller.wheels() == []


def test_a_wheel_for_another_torch_is_refused_with_both_versions_and_nothing_is_sent(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    def for_old_torch(name: str, content: bytes) -> bytes:
        return content.replace(installed.encode(), b"2.4.0+cpu") if name.endswith("dsdeploy.json") else content

    cluster, installed = make_cluster(1), provisioned.manifest["signature"]["torch_version"]
    wheel = repack(provisioned.wheel, tmp_path, for_old_torch)
    answer = controller.run("push", *reach(cluster), "--wheel", wheel, "--yes")
    assert answer.exit_code == 4
    assert "2.4.0+cpu" in answer.stderr
    assert installed in answer.stderr
    assert cluster.ssh("worker-0", "ls ~/.cache/dsdeploy/wheels").returncode != 0
