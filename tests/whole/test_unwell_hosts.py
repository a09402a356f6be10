"""One run over hosts of which each is unwell in another way: each is told in a line, and the others go on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster_hosts import ClusterUnderTest, bring_up, make_environment
from whole_tool import RECIPE, Answer, Controller, ask

pytestmark = pytest.mark.cluster
WELL, REFUSING, SILENT, CHANGED_KEY, UNKNOWN_KEY, SHUT, NO_PYTHON, NO_TORCH, SYSTEM = (
    f"worker-{index}" for index in range(9)
)
UNREACHED = [REFUSING, SILENT, CHANGED_KEY, UNKNOWN_KEY, SHUT]
UNFIT = [NO_PYTHON, NO_TORCH, SYSTEM]
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """The hosts, and the words by which a command reaches them."""

    controller: Controller
    words: tuple[str, ...]

    def run(self, command: str, *more: str) -> Answer:
        """Run a command on all hosts, or on those that `more` chooses."""
        return self.controller.run(command, *self.words, *more)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    cluster = bring_up(["9", "--cpu", "avx2"], make_environment(folder))
    ask(cluster, NO_TORCH, f"{SYSTEM_PYTHON} -m venv --without-pip ~/bare")
    home = cluster.hosts[int(NO_TORCH[-1])].home
    hostfile, ssh_config = folder / "hostfile", folder / "ssh_config"
    pythons = {NO_PYTHON: "/none/bin/python", NO_TORCH: f"{home}/bare/bin/python", SYSTEM: SYSTEM_PYTHON}
    hostfile.write_text(
        "".join(f"{host.name} slots=2 python={pythons.get(host.name, host.python)}\n" for host in cluster.hosts)
    )
    ssh_config.write_text(_own_ssh_config(cluster, folder))
    cluster.fault(REFUSING, "refuse")
    cluster.fault(SILENT, "drop")
    yield Ward(
        controller=Controller(folder=folder / "controller"),
        words=("-H", str(hostfile), "--ssh-config", str(ssh_config)),
    )
    cluster.down()


def _own_ssh_config(cluster: ClusterUnderTest, folder: Path) -> str:
    """Return the cluster's ssh_config with other known hosts, and another key for the host that is SHUT."""
    known = Path(cluster.document["known_hosts"]).read_text().splitlines()
    keys = {line.split(",")[0]: line.split(" ", 1) for line in known}
    keys[CHANGED_KEY][1] = keys[WELL][1]
    del keys[UNKNOWN_KEY]
    (folder / "known_hosts").write_text("".join(f"{names} {key}\n" for names, key in keys.values()))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "strange")], check=True)
    before, shut, after = cluster.ssh_config.read_text().partition(f"Host {SHUT}\n")
    after = after.replace(cluster.document["identity"], str(folder / "strange"), 1)
    return (before + shut + after).replace(cluster.document["known_hosts"], str(folder / "known_hosts"))


@pytest.fixture(scope="module")
def probed(ward: Ward) -> Answer:
    return ward.run("probe", "--json")


@pytest.fixture(scope="module")
def rows(ward: Ward) -> dict[str, dict[str, Any]]:
    """The plan's row of each host but SILENT, which takes ten seconds to say nothing."""
    return {row["host"]: row for row in ward.run("plan", *RECIPE, "-e", SILENT, "--json").document["hosts"]}


def test_those_that_can_be_reached_are_probed_and_the_exit_code_says_that_others_were_not(probed: Answer) -> None:
    assert list(probed.document["hosts"]) == [WELL, *UNFIT]
    assert list(probed.failures) == UNREACHED
    assert probed.exit_code == 3


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (REFUSING, ["refuses connections"]),
        (SILENT, ["does not answer"]),
        (CHANGED_KEY, ["another host key", "SHA256:"]),
        (UNKNOWN_KEY, ["host key", "not known", "SHA256:"]),
        (SHUT, ["does not let", "strange"]),
    ],
)
def test_a_host_that_cannot_be_reached_is_told_in_one_line_with_a_hint(
    host: str, words: list[str], probed: Answer
) -> None:
    failure = probed.failures[host]
    assert host in failure["message"]
    assert all(word in failure["message"] for word in words)
    assert "\n" not in failure["message"]
    assert failure["hint"]
    assert failure["exit_code"] == 3
    assert failure["message"] in probed.stderr


def test_a_black_hole_is_given_up_after_ten_seconds(probed: Answer) -> None:
    assert 9 < probed.failures[SILENT]["elapsed_s"] < 15


@pytest.mark.parametrize(
    ("host", "word"), [(NO_PYTHON, "/none/bin/python"), (NO_TORCH, "has no torch"), (SYSTEM, "PEP 668")]
)
def test_a_host_that_cannot_take_a_wheel_is_rejected_with_the_reason_and_a_hint(
    host: str, word: str, rows: dict[str, dict[str, Any]]
) -> None:
    assert rows[host]["verdict"] == "reject"
    assert word in rows[host]["reason"]
    assert "\n" not in rows[host]["reason"]
    assert "python=" in rows[host]["hint"]


def test_a_plan_has_every_host_in_hostfile_order_and_goes_on_with_the_one_that_is_well(
    rows: dict[str, dict[str, Any]],
) -> None:
    rejected = [host for host in (*UNREACHED, *UNFIT) if host != SILENT]
    assert list(rows) == [WELL, *rejected]
    assert [row["verdict"] for row in rows.values()] == ["install", *["reject"] * len(rejected)]


@pytest.mark.parametrize(
    ("hosts", "exit_code"),
    [([WELL], 0), ([WELL, REFUSING], 3), ([WELL, NO_PYTHON], 4), ([WELL, SYSTEM], 4), ([WELL, NO_TORCH], 4)],
)
def test_the_exit_code_of_a_plan_says_what_kind_of_trouble_there_was(
    hosts: list[str], exit_code: int, ward: Ward
) -> None:
    answer = ward.run("plan", *RECIPE, "-i", "@".join(hosts))
    assert answer.exit_code == exit_code
    assert answer.stderr.count("hint:") == len(hosts) - 1


def test_a_new_host_key_is_taken_when_that_is_asked_for_and_a_changed_one_never(ward: Ward) -> None:
    words = ("probe", "-i", f"{CHANGED_KEY}@{UNKNOWN_KEY}", "--json")
    answer = ward.run(*words, "--accept-new-host-keys")
    again = ward.run(*words)
    assert (list(answer.document["hosts"]), list(answer.failures)) == ([UNKNOWN_KEY], [CHANGED_KEY])
    assert (list(again.document["hosts"]), list(again.failures)) == ([UNKNOWN_KEY], [CHANGED_KEY])


def test_verify_tells_hosts_without_deepspeed_and_hosts_that_it_cannot_reach(ward: Ward) -> None:
    verified = ward.run("verify", "-i", f"{WELL}@{REFUSING}", "--json")
    assert {host: failure["exit_code"] for host, failure in verified.failures.items()} == {WELL: 8, REFUSING: 3}
    assert verified.exit_code == 8
