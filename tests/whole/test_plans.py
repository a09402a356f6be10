from __future__ import annotations

from pathlib import Path

import pytest
from whole_tool import RECIPE, Controller, MakeCluster, ask, reach, site_packages, snapshot

pytestmark = [pytest.mark.cluster, pytest.mark.build]


def test_a_saved_plan_changes_nothing_and_is_then_carried_out_exactly(
    make_cluster: MakeCluster, stocked: Controller, tmp_path: Path
) -> None:
    cluster = make_cluster(2)
    words, saved = (*reach(cluster), *RECIPE, "--json"), tmp_path / "plan.json"
    assert stocked.run("probe", *reach(cluster)).exit_code == 0  # the agent is there from now on
    before = [snapshot(cluster, host) for host in cluster.hosts]
    planned = stocked.run("plan", *words, "--exit-code", "--out", saved)
    assert [snapshot(cluster, host) for host in cluster.hosts] == before
    assert planned.exit_code == 10
    assert [row["verdict"] for row in planned.document["hosts"]] == ["install"] * 2
    done = stocked.run("provision", *reach(cluster), "--plan", saved, "--yes", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.document["plan"] == planned.document
    assert done.document["committed"] == ["worker-0", "worker-1"]
    again = stocked.run("plan", *words, "--exit-code")
    assert again.exit_code == 0
    assert [row["verdict"] for row in again.document["hosts"]] == ["keep"] * 2


def test_a_saved_plan_is_refused_once_a_host_is_no_longer_what_it_was(
    make_cluster: MakeCluster, stocked: Controller, tmp_path: Path
) -> None:
    cluster = make_cluster(2)
    saved = tmp_path / "plan.json"
    assert stocked.run("plan", *reach(cluster), *RECIPE, "--out", saved).exit_code == 0
    package = f"{site_packages(cluster, cluster.hosts[1])}/psutil-7.0.dist-info"
    ask(cluster, "worker-1", f"mkdir {package}; printf 'Name: psutil\\nVersion: 7.0\\n' > {package}/METADATA")
    before = [snapshot(cluster, host) for host in cluster.hosts]
    refused = stocked.run("provision", *reach(cluster), "--plan", saved, "--yes", "--json")
    assert refused.exit_code == 4
    assert refused.document["error"]["message"].startswith("worker-1 changed")
    assert "dsdeploy plan --out" in refused.document["error"]["hint"]
    assert [snapshot(cluster, host) for host in cluster.hosts] == before


def test_without_a_terminal_nothing_is_changed_unless_yes_was_said(
    make_cluster: MakeCluster, stocked: Controller
) -> None:
    cluster = make_cluster(1)
    refused = stocked.run("provision", *reach(cluster), *RECIPE, "--json")
    assert refused.exit_code == 2
    assert "--yes" in refused.document["error"]["hint"]
    assert stocked.run("plan", *reach(cluster), *RECIPE, "--exit-code").exit_code == 10
