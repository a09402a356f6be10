from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from cluster_hosts import ClusterUnderTest, HostUnderTest
from wheel.wheelfile import WheelFile
from whole_tool import Answer, Controller, MakeCluster, Provisioned, ask, reach, site_packages

pytestmark = [pytest.mark.cluster, pytest.mark.build]

_CHECK_RECORD = """
import base64, hashlib, importlib.metadata
for file in importlib.metadata.distribution('deepspeed').files:
    if file.hash:
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b'=').decode() == file.hash.value, file
"""


def contents(cluster: ClusterUnderTest, host: HostUnderTest) -> list[str]:
    """Return every file of the host's environment but torch's and compiled ones: digest, mode, time of change, path."""
    files = "-path ./torch -prune -o -type f -not -name '*.pyc'"
    folder = shlex.quote(site_packages(cluster, host))
    digests = ask(cluster, host.name, f"cd {folder} && find . {files} -exec sha256sum {{}} +")
    metadata = ask(cluster, host.name, f"cd {folder} && find . {files} -printf '%m %T@ %p\\n'")
    scripts = ask(
        cluster, host.name, f"cd {shlex.quote(str(Path(host.python).parent))} && sha256sum ds* deepspeed* || :"
    )
    return sorted([*digests.splitlines(), *metadata.splitlines(), *scripts.splitlines()])


def everywhere(cluster: ClusterUnderTest) -> list[list[str]]:
    return [contents(cluster, host) for host in cluster.hosts]


def check_records(cluster: ClusterUnderTest) -> None:
    """Every file of the installed DeepSpeed is what its RECORD says."""
    for host in cluster.hosts:
        ask(cluster, host.name, f"'{host.python}' -c {shlex.quote(_CHECK_RECORD)}")


def change_wheel(wheel: Path, folder: Path) -> Path:
    """Return the wheel with one file more and one that is longer, under a RECORD that fits."""
    with WheelFile(wheel) as source, WheelFile(folder / wheel.name, "w") as target:
        for member in source.infolist():
            if member.filename != source.record_path:
                longer = b"\n# changed\n" if member.filename == "deepspeed/__init__.py" else b""
                target.writestr(member.filename, source.read(member) + longer)
        target.writestr("deepspeed/added.py", b"")
    return folder / wheel.name


def push(controller: Controller, cluster: ClusterUnderTest, wheel: Path) -> Answer:
    answer = controller.run("push", *reach(cluster), "--wheel", wheel, "--yes", "--json")
    assert answer.exit_code == 0, answer.stderr
    return answer


def roll_back(controller: Controller, cluster: ClusterUnderTest, *words: str) -> Answer:
    answer = controller.run("rollback", *reach(cluster), *words, "--yes", "--json")
    assert answer.exit_code == 0, answer.stderr
    return answer


def test_a_rollback_brings_back_the_old_wheel_byte_for_byte_and_a_second_one_the_new(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(2)
    first = push(controller, cluster, provisioned.wheel).document["deployment"]
    old = everywhere(cluster)
    second = push(controller, cluster, change_wheel(provisioned.wheel, tmp_path)).document["deployment"]
    new = everywhere(cluster)
    assert old != new

    back = roll_back(controller, cluster).document
    assert (back["plan"]["undoes"], back["plan"]["to"]) == (second, first)
    assert back["ends"] == {"worker-0": "new", "worker-1": "new"}
    assert all(found["is_good"] for found in back["verifications"].values())
    assert [check["op"] for check in back["verifications"]["worker-0"]["checks"]] == provisioned.built_ops
    assert everywhere(cluster) == old
    check_records(cluster)

    forward = roll_back(controller, cluster).document
    assert forward["plan"]["undoes"] == back["deployment"]
    assert everywhere(cluster) == new
    check_records(cluster)

    roll_back(controller, cluster, "--to", first)
    assert everywhere(cluster) == old
    again = roll_back(controller, cluster, "--to", first).document
    assert ([row["verdict"] for row in again["plan"]["hosts"]], again["ends"]) == (["keep", "keep"], {})


def test_hosts_that_had_no_deepspeed_have_none_again_and_can_go_forward(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(2)
    bare = everywhere(cluster)
    push(controller, cluster, provisioned.wheel)
    installed = everywhere(cluster)
    gone = roll_back(controller, cluster).document
    assert (gone["plan"]["to"], gone["verifications"]) == (None, {})
    assert everywhere(cluster) == bare
    roll_back(controller, cluster)
    assert everywhere(cluster) == installed
    check_records(cluster)


def test_a_rollback_of_nothing_is_refused_and_of_a_host_that_somebody_changed_too(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(1)
    nothing = controller.run("rollback", *reach(cluster), "--yes", "--json")
    assert (nothing.exit_code, nothing.document["error"]["kind"]) == (4, "plan")
    push(controller, cluster, provisioned.wheel)
    ask(
        cluster,
        "worker-0",
        f"echo 'deepspeed/more.py,,' >> {site_packages(cluster, cluster.hosts[0])}/deepspeed-*/RECORD",
    )
    before = everywhere(cluster)
    changed = controller.run("rollback", *reach(cluster), "--yes", "--json")
    assert changed.exit_code == 4
    assert "replaced since deployment" in changed.document["error"]["message"]
    assert everywhere(cluster) == before
