from __future__ import annotations

import json

import pytest
from whole_tool import RECIPE, Controller, MakeCluster, ask, reach, site_packages

pytestmark = [pytest.mark.cluster, pytest.mark.build]
LOCAL = '"${XDG_CACHE_HOME:-$HOME/.cache}/dsdeploy/status" --json'


def test_drift_is_told_by_the_controller_and_by_the_host_itself_until_provision_puts_it_right(
    make_cluster: MakeCluster, stocked: Controller
) -> None:
    cluster = make_cluster(3)
    first, second, third = cluster.hosts
    words = [*reach(cluster), "--json"]
    never = stocked.run("status", *words)
    assert never.exit_code == 10
    found = {host["state"] for host in never.document["hosts"]}
    assert found <= {"never-deployed", "new"}  # new to a controller that had other hosts before
    deployed = stocked.run("provision", *words, *RECIPE, "--yes")
    assert deployed.exit_code == 0, deployed.stderr
    same = stocked.run("status", *words)
    assert (same.exit_code, [host["state"] for host in same.document["hosts"]]) == (0, ["same"] * 3)
    assert same.document["deployment"] == deployed.document["deployment"]
    assert json.loads(ask(cluster, first.name, LOCAL))["reasons"] == []
    ask(cluster, first.name, f"echo '# patched' >> {site_packages(cluster, first)}/deepspeed/constants.py")
    cluster.fault(third.name, "refuse")
    drifted = stocked.run("status", *words)
    assert [host["state"] for host in drifted.document["hosts"]] == ["drifted", "same", "unknown"]
    (drift,) = drifted.document["hosts"][0]["drifts"]
    assert (drift["kind"], "deepspeed/constants.py" in drift["text"]) == ("files", True)
    assert (drifted.exit_code, list(drifted.failures)) == (10, [third.name])
    ended = cluster.ssh(first.name, LOCAL)
    assert (ended.returncode, "deepspeed/constants.py" in ended.stdout) == (10, True)
    repaired = stocked.run("provision", *words, *RECIPE, "--yes", "-i", f"{first.name}@{second.name}")
    assert repaired.document["committed"] == [first.name]
    after = stocked.run("status", *words, "-i", f"{first.name}@{second.name}")
    assert (after.exit_code, [host["state"] for host in after.document["hosts"]]) == (0, ["same"] * 2)
