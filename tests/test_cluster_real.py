from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_hosts import ClusterUnderTest, bring_up, make_environment, run_cluster

pytestmark = pytest.mark.cluster
UP = ["2", "--torch", "none", "--gpu", "h100x8:1", "--cpu", "sse4:0"]


@pytest.fixture(scope="module", params=["namespaces", "loopback"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterUnderTest]:
    environment = make_environment(tmp_path_factory.mktemp("state"))
    try:
        cluster = bring_up([*UP, "--network", request.param], environment)
    except RuntimeError as reason:
        pytest.skip(str(reason))
    yield cluster
    cluster.down()


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    environment = make_environment(tmp_path)
    yield environment
    run_cluster(["down", "--all"], environment)


def read_processes(cluster: ClusterUnderTest) -> list[int]:
    running = json.loads((Path(cluster.document["folder"]) / "running.json").read_text())
    return [running["keeper"]["pid"], *(host["pid"] for host in running["hosts"].values())]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_host_answers_with_its_own_home_as_the_working_folder(cluster: ClusterUnderTest) -> None:
    for host in cluster.hosts:
        done = cluster.ssh(host.name, 'pwd; echo "$HOME"')
        assert done.stdout.splitlines() == [str(host.home)] * 2, done.stderr


def test_a_host_is_only_known_by_its_own_key(cluster: ClusterUnderTest) -> None:
    keys = {line.split()[2] for line in Path(cluster.document["known_hosts"]).read_text().splitlines()}
    assert len(keys) == 2
    options = ["-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    stranger = subprocess.run(
        ["ssh", "-F", str(cluster.ssh_config), *options, "worker-0", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert stranger.returncode == 255
    assert "Host key verification failed" in stranger.stderr


def test_a_file_copied_to_a_host_arrives_in_its_home_and_nowhere_else(
    cluster: ClusterUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "copied").write_text("for worker-0 alone")
    subprocess.run(["scp", "-q", "-F", str(cluster.ssh_config), str(tmp_path / "copied"), "worker-0:"], check=True)
    assert cluster.ssh("worker-0", "cat copied").stdout == "for worker-0 alone"
    assert cluster.ssh("worker-1", "cat copied").returncode != 0


def test_what_a_host_writes_anywhere_no_other_host_sees(cluster: ClusterUnderTest) -> None:
    if not cluster.is_isolated:
        pytest.skip("the hosts of a loopback cluster share one file system")
    assert cluster.ssh("worker-0", "echo mine > /etc/dsdeploy-test; cat /etc/dsdeploy-test").stdout == "mine\n"
    assert cluster.ssh("worker-1", "cat /etc/dsdeploy-test").returncode != 0
    assert not Path("/etc/dsdeploy-test").exists()
    assert cluster.ssh("worker-1", "hostname").stdout == "worker-1\n"


def test_hosts_find_each_other_by_name(cluster: ClusterUnderTest) -> None:
    if not cluster.is_isolated:
        pytest.skip("the hosts of a loopback cluster have no names of their own")
    assert cluster.ssh("worker-0", "getent hosts worker-1").stdout.split() == ["10.77.0.12", "worker-1"]


def test_every_connection_is_counted_in_the_hosts_own_log(cluster: ClusterUnderTest) -> None:
    first, second = cluster.hosts
    before = first.count_accepted(), second.count_accepted()
    for _ in range(3):
        assert cluster.ssh(first.name, "true").returncode == 0
    assert (first.count_accepted(), second.count_accepted()) == (before[0] + 3, before[1])


def test_only_odd_hosts_have_pip(cluster: ClusterUnderTest) -> None:
    codes = [cluster.ssh(host.name, f"'{host.python}' -m pip --version").returncode for host in cluster.hosts]
    assert codes == [1, 0]


def test_the_captured_nvidia_smi_answers_on_the_host_that_plays_it(cluster: ClusterUnderTest) -> None:
    query = "nvidia-smi --query-gpu=index,compute_cap,memory.total --format=csv,noheader,nounits"
    lines = cluster.ssh("worker-1", query).stdout.splitlines()
    assert lines == [f"{index}, 9.0, 81559" for index in range(8)]
    assert "CUDA Version" in cluster.ssh("worker-1", "nvidia-smi").stdout


def test_a_host_shows_the_cpu_that_it_plays(cluster: ClusterUnderTest) -> None:
    command = "grep -c -w avx ${DSDEPLOY_CPUINFO:-/proc/cpuinfo}"
    assert cluster.ssh("worker-0", command).stdout == "0\n"
    assert (
        cluster.ssh("worker-1", command).stdout
        == subprocess.run(
            ["grep", "-c", "-w", "avx", "/proc/cpuinfo"], capture_output=True, text=True, check=False
        ).stdout
    )


def test_a_refusing_host_refuses_at_once_until_it_is_restored(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-0", "refuse")
    refused = cluster.ssh("worker-0", "true")
    others = cluster.ssh("worker-1", "true")
    cluster.fault("worker-0", "restore")
    assert refused.returncode == 255
    assert "Connection refused" in refused.stderr
    assert others.returncode == 0
    assert cluster.ssh("worker-0", "true").returncode == 0


def test_a_dropped_host_is_silent_until_it_is_restored(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-0", "drop")
    started = time.monotonic()
    silent = cluster.ssh("worker-0", "true", connect_timeout_s=2)
    waited_s = time.monotonic() - started
    others = cluster.ssh("worker-1", "true")
    cluster.fault("worker-0", "restore")
    assert silent.returncode == 255
    assert "timed out" in silent.stderr
    assert waited_s >= 2
    assert others.returncode == 0
    assert cluster.ssh("worker-0", "true").returncode == 0


def test_a_frozen_host_takes_connections_and_says_nothing(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-0", "freeze")
    silent = cluster.ssh("worker-0", "true", connect_timeout_s=2)
    cluster.fault("worker-0", "thaw")
    assert silent.returncode == 255
    assert cluster.ssh("worker-0", "true").returncode == 0


def test_an_open_connection_outlives_a_refusal_and_a_short_black_hole(cluster: ClusterUnderTest) -> None:
    command = ["ssh", "-F", str(cluster.ssh_config), "worker-0", "echo here; read word; echo $word"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        assert session.stdout.readline() == "here\n"
        for fault in ("refuse", "restore", "drop"):
            cluster.fault("worker-0", fault)
        session.stdin.write("back\n")
        session.stdin.flush()
        cluster.fault("worker-0", "restore")
        assert session.stdout.readline() == "back\n"


def test_a_killed_host_is_gone_and_comes_back_when_it_is_restored(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-0", "kill")
    assert cluster.ssh("worker-0", "true", connect_timeout_s=2).returncode == 255
    cluster.fault("worker-0", "restore")
    assert cluster.ssh("worker-0", "true").returncode == 0


def test_a_full_disk_takes_nothing_until_it_is_restored(cluster: ClusterUnderTest) -> None:
    if not cluster.is_isolated:
        pytest.skip("the hosts of a loopback cluster have no disks of their own")
    cluster.fault("worker-0", "fill")
    full = cluster.ssh("worker-0", "head -c 1000000 /dev/zero > big")
    cluster.fault("worker-0", "restore")
    assert full.returncode != 0
    assert "No space left on device" in full.stderr
    assert cluster.ssh("worker-0", "head -c 1000000 /dev/zero > big").returncode == 0


def test_the_controllers_network_reaches_hosts_directly(cluster: ClusterUnderTest) -> None:
    config = cluster.document["ssh_config_inside"] or cluster.document["ssh_config"]
    command = [
        "exec",
        "--name",
        cluster.document["name"],
        "--",
        "ssh",
        "-F",
        config,
        "worker-0",
        "echo $SSH_CONNECTION",
    ]
    done = run_cluster(command, cluster.environment)
    assert done.returncode == 0, done.stderr
    if cluster.is_isolated:
        client, _, server, port = done.stdout.split()
        assert (client, server, port) == ("10.77.0.1", "10.77.0.11", "22")


def test_this_machines_own_network_is_left_as_it_was(cluster: ClusterUnderTest) -> None:
    del cluster
    addresses = Path("/proc/net/fib_trie").read_text()
    assert "10.77." not in addresses


def test_a_second_up_uses_the_living_cluster_and_heals_it(cluster: ClusterUnderTest) -> None:
    before = read_processes(cluster)
    cluster.fault("worker-1", "refuse")
    again = bring_up([*UP, "--network", cluster.document["network"]], cluster.environment)
    assert again.document["reused"] is True
    assert again.document | {"reused": False} == cluster.document
    assert read_processes(cluster) == before
    assert cluster.ssh("worker-1", "true").returncode == 0


def test_the_list_tells_what_lives(cluster: ClusterUnderTest) -> None:
    listed = json.loads(run_cluster(["list", "--json"], cluster.environment).stdout)
    entry = listed["clusters"][0]
    assert (entry["name"], entry["hosts"], entry["alive"], entry["faults"]) == ("default", 2, True, {})


@pytest.mark.parametrize("network", ["namespaces", "loopback"])
def test_down_leaves_no_process_and_no_folder(network: str, environment: dict[str, str]) -> None:
    try:
        cluster = bring_up(["2", "--torch", "none", "--name", "short", "--network", network], environment)
    except RuntimeError as reason:
        pytest.skip(str(reason))
    started = cluster.ssh("worker-0", "setsid sleep 600 >/dev/null 2>&1 & echo $!")
    cluster.fault("worker-1", "freeze")
    processes = read_processes(cluster)
    if not cluster.is_isolated:  # an isolated host counts its processes by itself
        processes.append(int(started.stdout))
    assert all(map(is_running, processes))
    cluster.down()
    assert not Path(cluster.document["folder"]).exists()
    assert not any(is_running(pid) for pid in processes)
    assert json.loads(run_cluster(["list", "--json"], environment).stdout)["clusters"] == []


@pytest.mark.parametrize("network", ["namespaces", "loopback"])
def test_disks_that_are_kept_are_found_by_the_next_up(network: str, environment: dict[str, str]) -> None:
    arguments = ["2", "--torch", "none", "--network", network]
    try:
        cluster = bring_up(arguments, environment)
    except RuntimeError as reason:
        pytest.skip(str(reason))
    first = cluster.hosts[0]
    code = "import sysconfig; open(sysconfig.get_path('purelib') + '/kept.py', 'w').write('kept = 1')"
    command = f"""echo mine > here; mkdir d; rm -r ../tmp; '{first.python}' -c "{code}" """
    assert cluster.ssh(first.name, command).returncode == 0
    processes = read_processes(cluster)
    cluster.down("--keep-disks")
    cluster.down("--keep-disks")
    assert not any(map(is_running, processes))
    listed = json.loads(run_cluster(["list", "--json"], cluster.environment).stdout)["clusters"][0]
    assert (listed["alive"], listed["kept"]) == (False, True)

    again = bring_up(arguments, cluster.environment)
    assert again.document | {"reused": False} == cluster.document
    code = "import kept; print(kept.kept)"
    found = again.ssh(first.name, f"""cat here; ls -d d ../tmp; '{first.python}' -c "{code}" """)
    assert found.stdout.split() == ["mine", "d", "1"]
    assert again.ssh("worker-1", "cat here").returncode != 0


def test_other_options_make_a_new_cluster_in_the_place_of_the_old(environment: dict[str, str]) -> None:
    arguments = ["--torch", "none", "--network", "loopback"]
    first = bring_up(["1", *arguments], environment)
    second = bring_up(["2", *arguments], environment)
    assert (first.document["reused"], second.document["reused"]) == (False, False)
    assert len(second.hosts) == 2
    assert second.ssh("worker-1", "true").returncode == 0


def test_a_cluster_whose_keeper_was_killed_is_dead_and_can_be_brought_up_again(environment: dict[str, str]) -> None:
    arguments = ["1", "--torch", "none"]
    first = bring_up(arguments, environment)
    keeper, *hosts = read_processes(first)
    subprocess.run(["kill", "-9", str(keeper)], check=True)
    listed = json.loads(run_cluster(["list", "--json"], environment).stdout)
    second = bring_up(arguments, environment)
    assert [entry["alive"] for entry in listed["clusters"]] == [False]
    assert not any(is_running(pid) for pid in hosts)
    assert second.document["reused"] is False
    assert second.ssh("worker-0", "true").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["up", "0"], ["up", "1", "--rate", "fast"], ["up", "1", "--gpu", "none-such"], ["fault", "worker-0", "drop"]],
)
def test_what_cannot_be_done_is_told_without_a_traceback(arguments: list[str], environment: dict[str, str]) -> None:
    done = run_cluster(arguments, environment)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
