"""What the whole tool is tested with: hosts, a controller of the tests' own, and one wheel that was really built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_hosts import ClusterUnderTest, bring_up, make_environment
from whole_tool import RECIPE, Controller, MakeCluster, Provisioned, reach


@pytest.fixture
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    """A user whose store is empty."""
    return Controller(folder=tmp_path_factory.mktemp("controller"))


@pytest.fixture(scope="session")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioned]:
    """Three hosts, of which the second has only AVX2; the one real build of this folder of tests."""
    cluster = bring_up(["3", "--cpu", "avx2:1"], make_environment(tmp_path_factory.mktemp("clusters")))
    controller = Controller(folder=tmp_path_factory.mktemp("provisioned"))
    answer = controller.run("provision", *reach(cluster), *RECIPE, "--yes", "--json")
    yield Provisioned(
        cluster=cluster,
        controller=controller,
        answer=answer,
        connections=[host.count_accepted() for host in cluster.hosts],
    )
    cluster.down()


@pytest.fixture(scope="session")
def stocked(provisioned: Provisioned) -> Controller:
    """A user whose store holds the wheel for hosts with AVX2."""
    assert provisioned.answer.exit_code == 0, provisioned.answer.stderr
    return provisioned.controller


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    """Bring up new hosts with AVX2: the wheel of `stocked` fits them, whichever of them are chosen."""
    clusters: list[ClusterUnderTest] = []

    def make(count: int, *options: str) -> ClusterUnderTest:
        words = [str(count), "--cpu", "avx2", "--name", f"hosts-{len(clusters)}", *options]
        clusters.append(bring_up(words, make_environment(tmp_path / "clusters")))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.down()
