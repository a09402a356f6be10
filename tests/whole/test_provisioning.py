from __future__ import annotations

import ast
import platform
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from whole_tool import RECIPE, Provisioned, ask, reach, site_packages, snapshot

pytestmark = [pytest.mark.cluster, pytest.mark.build]
OPS = {"cpu_adam", "cpu_adagrad", "cpu_lion", "fused_adam", "deepspeed_shm_comm", "pin_memory"}
RUN = OPS - {"deepspeed_shm_comm"}
MODULES = {"cpu_adam_op", "cpu_adagrad_op", "cpu_lion_op", "fused_adam_op", "deepspeed_shm_comm_op", "pin_memory_op"}


def extract(wheel: Path, name: str, folder: Path) -> Path:
    """Return the member of a wheel whose file name begins so."""
    with zipfile.ZipFile(wheel) as members:
        (found,) = (member for member in members.namelist() if Path(member).name.startswith(name))
        return Path(members.extract(found, folder))


def test_three_new_hosts_end_with_every_op_of_the_manifest_loaded_and_run(provisioned: Provisioned) -> None:
    answer, hosts = provisioned.answer, [host.name for host in provisioned.cluster.hosts]
    assert answer.exit_code == 0, answer.stderr
    assert list(answer.document["built"]) == [provisioned.manifest["build_key"]]
    assert answer.document["committed"] == hosts
    assert set(provisioned.built_ops) >= OPS
    for host in hosts:
        verification = answer.document["verifications"][host]
        states = {check["op"]: check["state"] for check in verification["checks"]}
        assert states.keys() == set(provisioned.built_ops)
        assert set(states.values()) <= {"ran", "loaded"}
        assert {op for op, state in states.items() if state == "ran"} >= RUN
        assert {op for op, is_installed in verification["report"]["installed"].items() if is_installed} >= OPS


def test_hosts_with_and_without_pip_are_provisioned_alike(provisioned: Provisioned) -> None:
    codes, versions = [], set()
    for host in provisioned.cluster.hosts:
        codes.append(provisioned.cluster.ssh(host.name, f"'{host.python}' -m pip --version").returncode)
        question = "import importlib.metadata as m; print(m.version('deepspeed'))"
        versions.add(ask(provisioned.cluster, host.name, f"'{host.python}' -c \"{question}\"").strip())
    assert codes == [1, 0, 1]
    assert versions == {provisioned.manifest["deepspeed_version"]}


def test_a_second_run_has_nothing_to_do_and_touches_no_file_of_any_host(provisioned: Provisioned) -> None:
    cluster = provisioned.cluster
    before = {host.name: snapshot(cluster, host) for host in cluster.hosts}
    answer = provisioned.controller.run("provision", *reach(cluster), *RECIPE, "--yes", "--json")
    assert {host.name: snapshot(cluster, host) for host in cluster.hosts} == before
    assert answer.exit_code == 0
    assert [row["verdict"] for row in answer.document["plan"]["hosts"]] == ["keep"] * 3
    assert [wheel["verdict"] for wheel in answer.document["plan"]["wheels"]] == ["reuse"]
    assert (answer.document["built"], answer.document["deliveries"], answer.document["committed"]) == ({}, {}, [])


def test_a_whole_provision_with_a_build_in_it_opens_one_connection_to_each_host(provisioned: Provisioned) -> None:
    assert provisioned.connections == [1, 1, 1]


@pytest.mark.parametrize(
    "command", [["probe"], ["plan", *RECIPE], ["provision", *RECIPE, "--yes"], ["push", *RECIPE, "--yes"]]
)
def test_a_command_opens_one_connection_to_each_host(command: list[str], provisioned: Provisioned) -> None:
    cluster = provisioned.cluster
    before = [host.count_accepted() for host in cluster.hosts]
    assert provisioned.controller.run(*command, *reach(cluster)).exit_code == 0
    assert [host.count_accepted() for host in cluster.hosts] == [count + 1 for count in before]


def test_verify_loads_what_the_installed_manifest_says_over_one_connection(
    provisioned: Provisioned, tmp_path: Path
) -> None:
    cluster, junit = provisioned.cluster, tmp_path / "verify.xml"
    before = [host.count_accepted() for host in cluster.hosts]
    answer = provisioned.controller.run("verify", *reach(cluster), "--json", "--junit", str(junit))
    checks = {host: verification["checks"] for host, verification in answer.document["hosts"].items()}
    assert {host: [check["op"] for check in found] for host, found in checks.items()} == {
        host.name: provisioned.built_ops for host in cluster.hosts
    }
    assert [host.count_accepted() for host in cluster.hosts] == [count + 1 for count in before]
    assert answer.exit_code == 0
    suites = ET.parse(junit).getroot()
    assert [suite.get("name") for suite in suites] == [host.name for host in cluster.hosts]
    assert suites.get("tests") == str(len(cluster.hosts) * (1 + len(provisioned.built_ops)))
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")


def test_an_op_that_was_damaged_on_one_host_is_found_by_verify_there(provisioned: Provisioned) -> None:
    cluster, host = provisioned.cluster, provisioned.cluster.hosts[2]
    library = f"{site_packages(cluster, host)}/deepspeed/ops/lion/cpu_lion_op.*.so"
    ask(cluster, host.name, f"cd ~; cp {library} kept; chmod u+w {library}; head -c 5000 kept > {library}")
    answer = provisioned.controller.run("verify", *reach(cluster), "--json")
    ask(cluster, host.name, f"cd ~; cat kept > {library}; rm kept")
    bad = {
        (name, check["op"])
        for name, verification in answer.document["hosts"].items()
        for check in verification["checks"]
        if check["state"] not in {"ran", "loaded"}
    }
    assert bad == {(host.name, "cpu_lion")}
    assert answer.exit_code == 8


def test_the_wheel_is_small(provisioned: Provisioned) -> None:
    assert provisioned.wheel.stat().st_size < 4_000_000


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX is x86-64's")
def test_no_instruction_is_newer_than_the_oldest_cpu_of_the_group(provisioned: Provisioned, tmp_path: Path) -> None:
    assert provisioned.manifest["signature"]["cpu_level"] == "x86-64-v3"
    library = extract(provisioned.wheel, "cpu_adam_op", tmp_path)
    listing = subprocess.run(["objdump", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    assert "%ymm" in listing
    assert "%zmm" not in listing


def test_the_literal_upstream_command_gives_the_same_ops(provisioned: Provisioned, tmp_path: Path) -> None:
    words = [*reach(provisioned.cluster), *RECIPE, "--strategy", "upstream", "--json"]
    answer = provisioned.controller.run("build", *words)
    assert answer.exit_code == 0, answer.stderr
    (artifact,) = answer.document["wheels"]
    (upstream,) = provisioned.controller.data.glob(f"wheels-v1/*/{artifact['sha256']}/*.whl")
    ours, theirs = (contents_of(wheel, tmp_path / name) for name, wheel in (("a", provisioned.wheel), ("b", upstream)))
    assert ours == theirs
    assert {op for op, is_built in ours[0].items() if is_built} >= OPS
    assert ours[1] >= MODULES


def contents_of(wheel: Path, folder: Path) -> tuple[dict[str, bool], set[str]]:
    """Return what a wheel says of its ops, and the names of the shared objects in it."""
    record = extract(wheel, "git_version_info_installed.py", folder).read_text()
    (ops,) = (
        ast.literal_eval(line.partition("=")[2].strip())
        for line in record.splitlines()
        if line.startswith("installed_ops")
    )
    libraries = {Path(name).name.split(".")[0] for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")}
    return ops, libraries
