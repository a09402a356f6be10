from __future__ import annotations

import pytest
from whole_tool import RECIPE, Controller, MakeCluster, ask, reach, site_packages, snapshot

pytestmark = [pytest.mark.cluster, pytest.mark.build]


def test_damaged_hosts_are_named_with_the_damage_and_only_they_are_repaired(
    make_cluster: MakeCluster, stocked: Controller
) -> None:
    cluster = make_cluster(3)
    first, second, third = cluster.hosts
    words = (*reach(cluster), *RECIPE, "--json")
    assert stocked.run("provision", *words, "--yes").exit_code == 0
    ask(cluster, first.name, f"rm -r {site_packages(cluster, first)}/deepspeed-*.dist-info")
    ask(cluster, second.name, f"echo 'deepspeed/more.py,,' >> {site_packages(cluster, second)}/deepspeed-*/RECORD")
    before = snapshot(cluster, third)
    planned = stocked.run("plan", *words).document["hosts"]
    assert [row["verdict"] for row in planned] == ["install", "install", "keep"]
    assert planned[0]["reason"] == "DeepSpeed is not installed"
    assert planned[1]["reason"].startswith("DeepSpeed was replaced since deployment")
    repaired = stocked.run("provision", *words, "--yes")
    assert repaired.exit_code == 0, repaired.stderr
    assert repaired.document["committed"] == [first.name, second.name]
    assert list(repaired.document["deliveries"]) == [first.name, second.name]
    assert {delivery["sent_bytes"] for delivery in repaired.document["deliveries"].values()} == {0}
    assert snapshot(cluster, third) == before
    assert stocked.run("plan", *words, "--exit-code").exit_code == 0


def test_an_unreachable_host_and_an_unfit_one_do_not_keep_the_others_from_their_wheel(
    make_cluster: MakeCluster, stocked: Controller
) -> None:
    cluster = make_cluster(3)
    cluster.fault("worker-0", "refuse")
    # A loopback host's file system is everybody's: it must be its own interpreter that becomes unfit.
    prefix = ask(cluster, "worker-2", f"'{cluster.hosts[2].python}' -c 'import sys; print(sys.prefix)'").strip()
    ask(cluster, "worker-2", f"rm {prefix}/bin/python*")
    answer = stocked.run("provision", *reach(cluster), *RECIPE, "--yes", "--json")
    assert answer.document["committed"] == ["worker-1"]
    assert [row["verdict"] for row in answer.document["plan"]["hosts"]] == ["reject", "install", "reject"]
    assert answer.exit_code == 4
    assert answer.stderr.count("hint:") == 2
