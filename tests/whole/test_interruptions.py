from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
from cluster_hosts import ClusterUnderTest
from whole_tool import (
    RECIPE,
    Controller,
    MakeCluster,
    Provisioned,
    answer_of,
    installed_files,
    leftovers_on,
    pending_state,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A second deployment over a first one, that is to be stopped."""

    controller: Controller
    cluster: ClusterUnderTest
    before: dict[str, list[str]]
    """Host → all its installed files, after the first deployment."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the second deployment."""
        return ("push", *reach(self.cluster), *RECIPE, "--force", "--yes", "--json")

    def wait_for(self, state: str, process: subprocess.Popen[Any]) -> None:
        """Wait until some host has written down that it came to that state."""
        wait_until(lambda: process.poll() is not None or state in self.states(), timeout_s=120)
        assert process.poll() is None

    def states(self) -> list[str | None]:
        """How far each host says that it is."""
        return [pending_state(self.cluster, host) for host in self.cluster.hosts]

    def assert_nothing_changed(self) -> None:
        """Every host has what it had, byte for byte, and nothing is left to be done or running."""
        for host in self.cluster.hosts:
            wait_until(lambda host=host: not processes_on(host), timeout_s=10)  # type: ignore[misc]
            assert installed_files(self.cluster, host) == self.before[host.name]
            assert leftovers_on(self.cluster, host) == []
        assert set(self.states()) == {None}
        assert self.controller.run("plan", *reach(self.cluster), *RECIPE, "--exit-code").exit_code == 0


@pytest.fixture
def begun(stocked: Controller, make_cluster: MakeCluster) -> Begun:
    cluster = make_cluster(2)
    assert stocked.run("push", *reach(cluster), *RECIPE, "--yes").exit_code == 0
    before = {host.name: installed_files(cluster, host) for host in cluster.hosts}
    return Begun(controller=stocked, cluster=cluster, before=before)


@pytest.mark.parametrize(
    ("number", "state"),
    [(signal.SIGINT, "activating"), (signal.SIGTERM, "activated"), (signal.SIGHUP, "activated")],
)
def test_a_signal_brings_every_host_back(begun: Begun, number: signal.Signals, state: str) -> None:
    process = begun.controller.start(*begun.words)
    begun.wait_for(state, process)
    process.send_signal(number)
    answer = answer_of(process, timeout_s=120)
    assert (answer.exit_code, answer.document["interrupted"]) == (130, True)
    assert set(answer.document["ends"].values()) == {"old"}
    begun.assert_nothing_changed()


def test_a_second_ctrl_c_leaves_at_once_and_says_which_hosts_are_not_known(begun: Begun) -> None:
    """The first host cannot be reached any more, so that bringing it back takes its time."""
    lost, _ = begun.cluster.hosts
    process = begun.controller.start(*begun.words)
    begun.wait_for("activating", process)
    begun.cluster.fault(lost.name, "drop")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("to rest" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    answer = answer_of(process, timeout_s=60)
    assert (answer.exit_code, answer.document["ends"][lost.name]) == (9, "unknown")
    begun.cluster.fault(lost.name, "restore")
    recovered = begun.controller.run("recover", *reach(begun.cluster))
    assert recovered.exit_code == 0, recovered.stderr
    begun.assert_nothing_changed()


def test_after_a_controller_was_killed_recover_brings_every_host_back(begun: Begun) -> None:
    process = begun.controller.start(*begun.words)
    begun.wait_for("activating", process)
    process.kill()
    process.communicate()
    recovered = begun.controller.run("recover", *reach(begun.cluster))
    assert recovered.exit_code == 0, recovered.stderr
    begun.assert_nothing_changed()


def test_after_a_controller_was_killed_the_next_deployment_goes_through(begun: Begun) -> None:
    process = begun.controller.start(*begun.words)
    begun.wait_for("activated", process)
    process.kill()
    process.communicate()
    answer = begun.controller.run(*begun.words)
    assert (answer.exit_code, set(answer.document["ends"].values())) == (0, {"new"})
    assert set(begun.states()) == {None}


def test_a_dying_terminal_brings_every_host_back(begun: Begun) -> None:
    ours, theirs = os.openpty()
    process = begun.controller.start_on_a_terminal(theirs, *begun.words)
    window = subprocess.Popen(["cat"], stdin=ours, stdout=subprocess.DEVNULL)
    for descriptor in (ours, theirs):
        os.close(descriptor)
    try:
        begun.wait_for("activating", process)
    finally:
        window.kill()
        window.wait()
    assert process.wait(timeout=120) == 130
    begun.assert_nothing_changed()
