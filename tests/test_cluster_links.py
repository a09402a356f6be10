from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_hosts import ClusterUnderTest, bring_up, make_environment, run_cluster

pytestmark = pytest.mark.cluster
MEGABYTE = 1_000_000
CONNECT = """python3 -c '
import socket, sys
try:
    socket.create_connection((sys.argv[1], 22), timeout=2).close()
except OSError as error:
    print(type(error).__name__, error.errno)
else:
    print("connected")
' """


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterUnderTest]:
    """Hosts on links of 100 Mbit/s, the last one's slower; the first two share a home."""
    words = ["4", "--torch", "none", "--rate", "100mbit", "--rate", "4mbit:3", "--home", "nfs:0-1"]
    try:
        cluster = bring_up([*words, "--network", "namespaces"], make_environment(tmp_path_factory.mktemp("state")))
    except RuntimeError as reason:
        pytest.skip(str(reason))
    yield cluster
    cluster.down()


def connect(cluster: ClusterUnderTest, host: str, other: int) -> str:
    """Return what comes of a connection from one host to another one's SSH port."""
    done = cluster.ssh(host, CONNECT + cluster.document["hosts"][other]["inside_address"])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def time_megabyte(cluster: ClusterUnderTest, host: str) -> float:
    """Return the seconds in which a host sends a megabyte to the controller."""
    started = time.monotonic()
    assert len(cluster.ssh(host, f"head -c {MEGABYTE} /dev/zero").stdout) == MEGABYTE
    return time.monotonic() - started


def test_a_link_with_a_rate_of_its_own_keeps_to_it(cluster: ClusterUnderTest) -> None:
    assert time_megabyte(cluster, "worker-3") > 8 * MEGABYTE / 4e6 * 0.9


def test_a_slow_host_is_as_fast_as_before_when_it_is_restored(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-2", "slow:4mbit")
    slow_s = time_megabyte(cluster, "worker-2")
    shaped = cluster.ssh("worker-2", "tc qdisc show dev eth0").stdout
    cluster.fault("worker-2", "restore")
    assert slow_s > 8 * MEGABYTE / 4e6 * 0.9
    assert "rate 4Mbit" in shaped
    assert "rate 100Mbit" in cluster.ssh("worker-2", "tc qdisc show dev eth0").stdout


@pytest.mark.parametrize(
    ("fault", "inward", "outward"),
    [("lonely", "OSError 113", "OSError 101"), ("mute", "TimeoutError None", "TimeoutError None")],
)
def test_a_host_that_only_the_controller_reaches(
    fault: str, inward: str, outward: str, cluster: ClusterUnderTest
) -> None:
    cluster.fault("worker-1", fault)
    cluster.fault("worker-1", fault)
    assert (connect(cluster, "worker-0", 1), connect(cluster, "worker-1", 2)) == (inward, outward)
    assert connect(cluster, "worker-0", 2) == "connected"
    cluster.fault("worker-1", "restore")
    assert (connect(cluster, "worker-0", 1), connect(cluster, "worker-1", 2)) == ("connected", "connected")


def test_a_disk_can_keep_a_little_room(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-2", "fill:2")
    little = cluster.ssh("worker-2", f"head -c {MEGABYTE} /dev/zero > little").returncode
    much = cluster.ssh("worker-2", f"head -c {2 * MEGABYTE} /dev/zero > much")
    cluster.fault("worker-2", "restore")
    assert little == 0
    assert "No space left on device" in much.stderr


def test_hosts_that_share_a_home_see_each_others_files_and_nobody_else_does(cluster: ClusterUnderTest) -> None:
    cluster.ssh("worker-0", "echo ours > shared; echo mine > /etc/mine")
    assert cluster.ssh("worker-1", "cat shared").stdout == "ours\n"
    assert cluster.ssh("worker-1", "cat /etc/mine").returncode != 0
    assert cluster.ssh("worker-2", "cat shared").returncode != 0
    assert (cluster.hosts[0].home / "shared").read_text() == "ours\n"


def test_the_list_tells_how_slow_a_host_is(cluster: ClusterUnderTest) -> None:
    cluster.fault("worker-0", "slow:5mbit")
    entry = json.loads(run_cluster(["list", "--json"], cluster.environment).stdout)["clusters"][0]
    cluster.fault("worker-0", "restore")
    assert entry["faults"] == {"worker-0": ["slow:5mbit"]}


def test_hosts_of_a_loopback_cluster_share_homes_too_and_have_no_links_that_could_suffer(tmp_path: Path) -> None:
    words = ["2", "--torch", "none", "--home", "nfs", "--network", "loopback"]
    cluster = bring_up(words, make_environment(tmp_path))
    try:
        cluster.ssh("worker-0", "echo ours > shared")
        assert cluster.ssh("worker-1", "cat shared").stdout == "ours\n"
        for fault in ("slow", "lonely", "mute"):
            done = run_cluster(["fault", "worker-0", fault], cluster.environment)
            assert (done.returncode, "no link of its own" in done.stderr) == (2, True)
    finally:
        cluster.down()
