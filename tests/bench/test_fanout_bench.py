"""The parts of `scripts/bench/fanout` that need no cluster: who takes part, commands, measuring, results, goals."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fanoutbench.contests import CONTESTS, choose_contests, choose_peers
from fanoutbench.errors import BenchError
from fanoutbench.goals import judge
from fanoutbench.ground import REPORT, Ground, Payload
from fanoutbench.measuring import Cost, count_sent
from fanoutbench.peers import OURS, OURS_FIRST, PEERS, SCP, SCP_TO_ONE, TAKTUK, Kind, Peer
from fanoutbench.results import Results, Run, load_results
from fanoutbench.running import make_payload, read_report
from fanoutbench.table import print_results
from fanoutbench.tools import TOOLS, Tool, ask_version, find_tools
from rich.console import Console
from testcluster.state import Cluster, Host, Network, Options

from orchestrator.model.codec import to_document
from orchestrator.model.fanout import FanOutReport, Topology

SAMPLE = FanOutReport(
    elapsed_s=3.5,
    lacked_bytes=20_000_000,
    controller_bytes=20_500_000,
    peer_bytes=620_000_000,
    fastest_bytes_per_s=5.9e6,
    topology=Topology(parents={"worker-0": None, "worker-1": "worker-0"}),
    fallen_back=("worker-7",),
)
MACHINE = {"CPU": "2 x test"}
ALL = [name for name, peer in PEERS.items() if peer.kind is not Kind.ONE]
SCRIPTS = Path(__file__).parents[2] / "scripts"


def make_ground(folder: Path, count: int) -> Ground:
    options = Options(count=count, network="auto", gpus=(), python="/usr/bin/python3", torch=None, disk_mb=1)
    hosts = tuple(
        Host(
            name=f"worker-{index}", index=index, address=f"127.77.0.{index}", port=22022,
            inside_address=f"10.77.0.{index}", folder="", python="python3", home="", log="", slots=1, gpu=None,
            has_pip=True,
        )
        for index in range(count)
    )  # fmt: skip
    cluster = Cluster(
        name="bench",
        network=Network.NAMESPACES,
        reason="",
        state=str(folder / "cluster"),
        user="root",
        options=options,
        hosts=hosts,
    )
    payload = Payload(path=folder / "file", sha256="ab" * 32, size_bytes=100)
    ground = Ground(cluster=cluster, payload=payload, folder=folder / "ground", tools=folder / "tools")
    ground.write()
    return ground


def make_run(contest: str, peer: str, wall_s: float, *, cpu_s: float = 1.0, sent: int = 0, whole: int = 32) -> Run:
    cost = Cost(returncode=0, started_at_s=5.0, wall_s=wall_s, cpu_s=cpu_s, peak_process_bytes=10**7, sent_bytes=sent)
    return Run(
        contest=contest,
        peer=peer,
        date="2026-01-02T03:04:05+00:00",
        cost=cost,
        hosts=32,
        whole=whole,
        report=SAMPLE if peer == OURS else None,
    )


def measure(folder: Path, program: str, *, limit_s: int = 60) -> Cost:
    """Measure a Python program as the bench does, in a process of its own, but by the loopback device."""
    argv = [sys.executable, "-c", program]
    asked = (
        f"from fanoutbench.measuring import *; print(json.dumps(asdict(run({argv!r}, Path('log'), {limit_s}, 'lo'))))"
    )
    environment = {"PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return Cost(**json.loads(done.stdout))


def test_the_limit_is_one_copy_through_one_link() -> None:
    limits = {name: contest.limit_s for name, contest in CONTESTS.items()}
    assert limits == {
        "N8": pytest.approx(2.091, abs=0.001),
        "N32": pytest.approx(3.346, abs=0.001),
        "N64": pytest.approx(6.692, abs=0.001),
        "loopback": None,
    }


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("none", [OURS, OURS_FIRST]),
        ("fast", [OURS, OURS_FIRST, TAKTUK]),
        ("all", ALL),
        ("scp,dsdeploy", [SCP, OURS]),
    ],
)
def test_peers_are_chosen_by_a_word_or_by_name(asked: str, names: list[str]) -> None:
    assert [peer.name for peer in choose_peers(CONTESTS["N8"], asked)] == names


def test_without_a_word_a_contest_has_its_own_peers() -> None:
    assert [peer.name for peer in choose_peers(CONTESTS["N64"], None)] == [OURS, OURS_FIRST, TAKTUK]
    assert [peer.name for peer in choose_peers(CONTESTS["N32"], None)] == ALL
    assert choose_contests(None) == tuple(CONTESTS.values())
    assert choose_contests("N32") == (CONTESTS["N32"],)


def test_unknown_names_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(BenchError, match="no N9: choose from N8, N32"):
        choose_contests("N8,N9")
    with pytest.raises(BenchError, match="no ftp: choose from dsdeploy, dsdeploy-first, taktuk"):
        choose_peers(CONTESTS["N8"], "ftp")


def test_what_every_peer_needs_is_known() -> None:
    assert {peer.tool for peer in PEERS.values()} == set(TOOLS)


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_every_peer_is_told_which_file_and_which_hosts(peer: Peer, tmp_path: Path) -> None:
    ground = make_ground(tmp_path, 4)
    words = " ".join([*peer.command(ground), *peer.environment(ground).values()])
    has_settings = str(ground.settings) in words
    assert has_settings or str(ground.payload.path) in words
    named = [where for where in (ground.settings, ground.host_list, ground.inventory) if str(where) in words]
    assert named or ground.hosts[0] in words
    assert has_settings or str(ground.ssh_config) in words


def test_an_ssh_config_is_all_that_python_programs_must_be_told_beside_the_hosts(tmp_path: Path) -> None:
    ground = make_ground(tmp_path, 2)
    settings = json.loads(ground.settings.read_text())
    assert settings["hosts"] == ["worker-0", "worker-1"]
    assert settings["addresses"] == ["10.77.0.0", "10.77.0.1"]
    assert settings["ssh_config"] == str(tmp_path / "cluster" / "ssh_config.inside")


@pytest.mark.parametrize(("count", "gateways"), [(1, 1), (4, 1), (8, 2), (32, 4), (64, 5)])
def test_for_clush_every_host_is_a_gateway_or_behind_one(count: int, gateways: int, tmp_path: Path) -> None:
    ground = make_ground(tmp_path, count)
    lines = [line.partition(": ")[::2] for line in ground.routes.read_text().splitlines()[1:]]
    assert lines[0][1] == ",".join(ground.hosts[:gateways])
    assert lines[1:] == [(lines[0][1], ",".join(ground.hosts[gateways:]))] * (count > gateways)


def test_sent_bytes_are_the_ninth_counter_of_the_device() -> None:
    text = "Inter-| Receive\n  lo: 1 2 3 4 5 6 7 8 99 10\neth0:10 20 30 40 50 60 70 80 4711 100 1 1 1 1 1 1\n"
    assert count_sent(text, "eth0") == 4711
    with pytest.raises(ValueError, match="no eth1"):
        count_sent(text, "eth1")


@pytest.mark.process
def test_a_cost_counts_all_processes_and_tells_the_return_code(tmp_path: Path) -> None:
    worker = "sum(range(5_000_000))"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}], start_new_session=True)"
    cost = measure(tmp_path, f"{script}; print('said'); sys.exit(3)")
    assert cost.returncode == 3
    assert cost.cpu_s > 0.05
    assert (tmp_path / "log").read_text() == "said\n"


@pytest.mark.process
def test_what_a_command_leaves_running_is_ended_and_does_not_delay_it(tmp_path: Path) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '300'], start_new_session=True).pid)"
    cost = measure(tmp_path, script)
    assert cost.returncode == 0
    assert not Path(f"/proc/{int((tmp_path / 'log').read_text())}").exists()


@pytest.mark.process
def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    assert measure(tmp_path, "import time; time.sleep(300)", limit_s=1).returncode == 124


def test_a_payload_is_as_large_as_asked_and_its_digest_is_known(tmp_path: Path) -> None:
    payload = make_payload(tmp_path / "file", 3_000_001)
    assert (tmp_path / "file").stat().st_size == 3_000_001
    assert payload.sha256 == subprocess.check_output(["sha256sum", payload.path], text=True).split()[0]


def test_the_report_of_ours_is_read_out_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    document = {"verified_at_s": 12.5, "report": to_document(SAMPLE)}
    log.write_text(f"a warning\n{REPORT}{json.dumps(document)}\n")
    assert read_report(log) == (12.5, SAMPLE)
    log.write_text("nothing of the kind\n")
    assert read_report(log) == (None, None)


def test_results_are_read_back_and_new_ones_replace_those_of_the_same_peer_and_contest(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", MACHINE, {"ssh": "9.2"})
    results.keep(make_run("N32", SCP, 110))
    results.keep(make_run("N32", OURS, 5))
    again = load_results(tmp_path / "results.json", MACHINE)
    assert (again.tools, again.runs) == (results.tools, results.runs)
    again.forget("N32", SCP)
    again.keep(make_run("N32", SCP, 108))
    kept = load_results(tmp_path / "results.json", MACHINE)
    assert [(run.peer, run.cost.wall_s) for run in kept.runs] == [(OURS, 5), (SCP, 108)]


def test_results_of_another_machine_or_of_something_else_are_refused(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", MACHINE)
    results.keep(make_run("N32", SCP, 110))
    with pytest.raises(BenchError, match="another machine"):
        load_results(results.path, {"CPU": "4 x other"})
    results.path.write_text("{}")
    with pytest.raises(BenchError, match="does not hold results"):
        load_results(results.path, MACHINE)


def test_a_standing_is_the_median_of_good_runs_alone(tmp_path: Path) -> None:
    runs = [make_run("N32", OURS, wall_s) for wall_s in (4.0, 9.0, 5.0)]
    runs += [make_run("N32", OURS, 1.0, whole=31), make_run("N32", SCP, 2.0, whole=0), make_run("N8", OURS, 1.0)]
    standings = Results(tmp_path / "results.json", MACHINE, {}, runs).standings("N32")
    assert list(standings) == [OURS]
    ours = standings[OURS]
    assert (ours.wall_s, ours.fastest_s, ours.slowest_s, ours.runs) == (5.0, 4.0, 9.0, 3)


def test_goals_compare_ours_with_the_limit_the_best_star_taktuk_and_scp(tmp_path: Path) -> None:
    runs = [
        make_run("N8", OURS, 2.5),
        make_run("N32", OURS, 4.0, cpu_s=1.0, sent=21_000_000),
        make_run("N32", TAKTUK, 11.0),
        make_run("N32", SCP, 110.0, cpu_s=5.0),
        make_run("N32", "rsync", 108.0),
        make_run("N32", "clush-tree", 50.0),
        make_run("loopback", OURS, 4.0),
        make_run("loopback", SCP_TO_ONE, 1.0),
    ]
    measured = [goal.measured for goal in judge(Results(tmp_path / "results.json", MACHINE, {}, runs))]
    to_limit = [pytest.approx(2.5 / 2.091, abs=1e-3), pytest.approx(4 / 3.346, abs=1e-3), None]
    assert measured == [*to_limit, pytest.approx(1.0, abs=1e-3), 27.0, 2.75, 1.05, 2.0, 0.2]


def test_nothing_measured_meets_no_goal(tmp_path: Path) -> None:
    goals = judge(Results(tmp_path / "results.json", MACHINE))
    assert [goal.measured for goal in goals] == [None] * 9
    assert not any(goal.meets(goal.must) or goal.meets(goal.hope) for goal in goals)


def test_the_table_tells_what_failed_and_how_goals_are_met(tmp_path: Path) -> None:
    runs = [make_run("N32", OURS, 4.6, sent=22_000_000), make_run("N32", "pdcp", 110.0, whole=31)]
    output = io.StringIO()
    results = Results(tmp_path / "results.json", MACHINE, {"ansible": "ansible [core 2.19]"}, runs)
    print_results(results, Console(file=output, width=160))
    text = output.getvalue()
    assert "pdcp: 31 of 32 hosts hold the file, exit code 0" in text
    assert "dsdeploy: the controller itself had to serve worker-7" in text
    [ours] = [line for line in text.splitlines() if line.startswith("│ dsdeploy")]
    assert ours.replace("│", "").split()[2:8] == ["4.60", "3.50", "1.37", "1.100", "1.025", "1.00"]
    assert "ansible [core 2.19]" in text
    assert text.count("must met") == 2  # wall ÷ limit is 1.37, sent ÷ size 1.1
    assert text.count("not measured") == 7


def test_a_tool_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert ask_version(tmp_path, Tool(version=("no-such-program", "-V"))) is None
    assert ask_version(tmp_path, Tool(version=("fab", "--version"), pip="fabric")) is None


@pytest.mark.process
def test_tools_tell_their_versions(tmp_path: Path) -> None:
    assert "OpenSSH" in find_tools(tmp_path, ["ssh"], print)["ssh"]
