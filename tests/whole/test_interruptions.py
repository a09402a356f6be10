from __future__ import annotations

import signal

import pytest
from cluster_hosts import ClusterUnderTest
from whole_tool import (
    RECIPE,
    Controller,
    MakeCluster,
    Provisioned,
    answer_of,
    leftovers_on,
    processes_on,
    reach,
    wait_until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.build]


def interrupt(controller: Controller, cluster: ClusterUnderTest, sign: str) -> list[str]:
    """Start a provision, send Ctrl-C when the sign is seen on the host, and return which files it left there."""
    (host,) = cluster.hosts
    process = controller.start("provision", *reach(cluster), *RECIPE, "--yes")
    wait_until(lambda: process.poll() is not None or is_seen(cluster, sign), timeout_s=300)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    answer = answer_of(process, timeout_s=60)
    assert answer.exit_code == 130
    assert "interrupted" in answer.stderr.splitlines()[-1]
    wait_until(lambda: not processes_on(host), timeout_s=10)
    return leftovers_on(cluster, host)


def is_seen(cluster: ClusterUnderTest, sign: str) -> bool:
    (host,) = cluster.hosts
    return any(sign in line for line in (*processes_on(host), *leftovers_on(cluster, host)))


def test_ctrl_c_in_a_build_ends_all_compilers_and_the_next_run_works(
    controller: Controller, provisioned: Provisioned, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(1)
    assert interrupt(controller, cluster, "cc1plus") == []
    assert controller.wheels() == []
    assert controller.run("store", "verify", "--json").document["findings"] == []
    assert controller.run("push", *reach(cluster), "--wheel", provisioned.wheel, "--yes").exit_code == 0
    assert controller.run("provision", *reach(cluster), *RECIPE, "--yes").exit_code == 0


def test_ctrl_c_in_a_fan_out_leaves_what_arrived_to_the_next_run(
    stocked: Controller, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(1, "--rate", "20mbit")
    if not cluster.is_isolated:
        pytest.skip("a loopback host has no link of its own that could be slow")
    left = interrupt(stocked, cluster, ".part")
    assert left
    assert all(path.endswith(".part") for path in left)
    planned = stocked.run("plan", *reach(cluster), *RECIPE, "--json").document["hosts"]
    assert [row["reason"] for row in planned] == ["DeepSpeed is not installed"]
    assert stocked.run("store", "verify", "--json").document["findings"] == []
    assert stocked.run("provision", *reach(cluster), *RECIPE, "--yes").exit_code == 0
    assert leftovers_on(cluster, cluster.hosts[0]) == []
