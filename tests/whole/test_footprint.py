from __future__ import annotations

import re

import pytest
from whole_tool import Controller, MakeCluster, ask, leftovers_on, processes_on, reach, snapshot, wait_until

pytestmark = pytest.mark.cluster


def test_the_agent_is_sent_once_and_lies_in_a_private_folder_named_by_its_digest(
    controller: Controller, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(2)
    assert controller.run("probe", *reach(cluster)).exit_code == 0
    first = [snapshot(cluster, host) for host in cluster.hosts]
    assert controller.run("probe", *reach(cluster)).exit_code == 0
    assert [snapshot(cluster, host) for host in cluster.hosts] == first
    for host in cluster.hosts:
        folders = ask(cluster, host.name, "find ~/.cache/dsdeploy -maxdepth 2 -type d -printf '%P %m\\n' | sort")
        assert re.fullmatch(r" 700\nagent 700\nagent/[0-9a-f]{64} 7[05][05]\n", folders)


def test_a_probe_leaves_no_process_and_nothing_but_the_agents_own_folder(
    controller: Controller, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(1)
    (host,) = cluster.hosts
    before = snapshot(cluster, host)
    assert controller.run("probe", *reach(cluster)).exit_code == 0
    wait_until(lambda: not processes_on(host), timeout_s=10)
    new = {line.split()[0] for line in snapshot(cluster, host)} - {line.split()[0] for line in before}
    assert new
    assert all(f"{path}/".startswith(f"{host.home}/.cache/") for path in new)
    assert leftovers_on(cluster, host) == []
