from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPTS = Path(__file__).parent.parent / "scripts"
CAPTURES = Path(__file__).parent / "captures/nvidia-smi"
sys.path.insert(0, str(SCRIPTS))

from testcluster import addresses, config_texts, fake_nvidia_smi  # noqa: E402
from testcluster.choices import Choice, find_played, parse_choice  # noqa: E402
from testcluster.cpus import make_cpuinfo  # noqa: E402
from testcluster.design import check_options, design_cluster  # noqa: E402
from testcluster.errors import ClusterError  # noqa: E402
from testcluster.filesystem import find_mount_points  # noqa: E402
from testcluster.gpus import count_gpus  # noqa: E402
from testcluster.host_files import parse_openssh_version  # noqa: E402
from testcluster.interpreter import Interpreter  # noqa: E402
from testcluster.layout import find_cache_root, find_folder, find_state_root  # noqa: E402
from testcluster.processes import Process, parse_stat  # noqa: E402
from testcluster.requirements import describe_missing, find_missing  # noqa: E402
from testcluster.state import (  # noqa: E402
    Cluster,
    Network,
    Options,
    Running,
    make_document,
    make_running_text,
    parse_cluster,
    parse_running,
)
from testcluster.torch_cache import make_folder_name  # noqa: E402
from testcluster.venvs import copy_environment  # noqa: E402

OPTIONS = Options(
    count=3,
    network="auto",
    gpus=("h100x8:0",),
    python="/usr/bin/python3",
    torch=None,
    disk_mb=2048,
)


def make_cluster(network: Network = Network.NAMESPACES, options: Options = OPTIONS) -> Cluster:
    return design_cluster(
        Path("/state/default"), options, (network, "a test"), user="ml", count_gpus=lambda _capture: 8
    )


@given(st.integers(0, addresses.MAX_HOSTS - 1), st.integers(0, addresses.MAX_HOSTS - 1))
def test_two_hosts_never_share_an_address(first: int, second: int) -> None:
    for plan in (
        addresses.inside_address,
        addresses.gateway_address,
        addresses.loopback_address,
        addresses.hardware_address,
    ):
        assert (plan(first) == plan(second)) == (first == second)


@given(st.integers(0, addresses.MAX_HOSTS - 1))
def test_no_host_has_the_controllers_address(index: int) -> None:
    assert addresses.inside_address(index) != addresses.CONTROLLER_ADDRESS
    assert addresses.hardware_address(index) != addresses.CONTROLLER_HARDWARE_ADDRESS
    assert all(0 < int(part) < 255 for part in addresses.inside_address(index).split(".")[3:])


def test_a_port_is_chosen_that_is_free_at_every_address() -> None:
    taken = {("127.0.0.1", 22022), ("127.0.0.2", 22023)}
    found = addresses.choose_port(["127.0.0.1", "127.0.0.2"], is_free=lambda *place: place not in taken)
    assert found == 22024


def test_no_port_is_chosen_when_all_are_taken() -> None:
    assert addresses.choose_port(["127.0.0.1"], is_free=lambda *_place: False) is None


def test_hosts_are_numbered_and_every_second_one_has_pip() -> None:
    cluster = make_cluster()
    assert [host.name for host in cluster.hosts] == ["worker-0", "worker-1", "worker-2"]
    assert [host.has_pip for host in cluster.hosts] == [False, True, False]


def test_a_host_that_plays_a_gpu_machine_has_its_slots_and_its_nvidia_smi_first() -> None:
    first, second, _ = make_cluster().hosts
    assert (first.gpu, first.slots, second.gpu, second.slots) == ("h100x8", 8, None, 2)
    assert config_texts.make_search_path(first).startswith("/state/default/hosts/worker-0/gpu-bin:")
    assert "gpu-bin" not in config_texts.make_search_path(second)


def test_the_hostfile_is_deepspeeds_with_the_interpreter_added() -> None:
    assert config_texts.make_hostfile(make_cluster()).splitlines()[:2] == [
        "worker-0 slots=8 python=/state/default/hosts/worker-0/venv/bin/python",
        "worker-1 slots=2 python=/state/default/hosts/worker-1/venv/bin/python",
    ]


def test_the_ssh_config_leads_to_the_gateway_outside_and_to_the_host_inside() -> None:
    cluster = make_cluster()
    host = cluster.hosts[1]
    outside = config_texts.make_ssh_config(cluster, inside=False)
    inside = config_texts.make_ssh_config(cluster, inside=True)
    assert f"Host worker-1\n    HostName 127.77.0.2\n    Port {host.port}\n    User ml\n" in outside
    assert "Host worker-1\n    HostName 10.77.0.12\n    Port 22\n    User ml\n" in inside
    assert outside.count("StrictHostKeyChecking yes") == outside.count("IdentitiesOnly yes") == 3


def test_a_percent_sign_in_a_path_is_not_taken_for_a_token_of_ssh() -> None:
    assert config_texts.quote_for_ssh(Path("/a b/100%")) == '"/a b/100%%"'


def test_known_hosts_names_every_way_to_a_host() -> None:
    cluster = make_cluster()
    keys = {host.name: f"ssh-ed25519 {host.name}" for host in cluster.hosts}
    line = config_texts.make_known_hosts(cluster, keys).splitlines()[0]
    port = cluster.hosts[0].port
    assert line == f"worker-0,[127.77.0.1]:{port},10.77.0.11 ssh-ed25519 worker-0"


def test_sshd_listens_inside_in_namespaces_and_on_loopback_otherwise() -> None:
    for network, expected in ((Network.NAMESPACES, "10.77.0.11"), (Network.LOOPBACK, "127.0.0.1")):
        cluster = make_cluster(network)
        text = config_texts.make_sshd_config(
            cluster, cluster.hosts[0], sftp_server="/usr/lib/openssh/sftp-server", has_penalties=False
        )
        assert f"ListenAddress {expected}\n" in text
        assert "PasswordAuthentication no\n" in text
        assert "PerSourcePenalties" not in text
        assert '"HOME=/state/default/hosts/worker-0/home"' in text
        assert ("TMPDIR" in text) == (network is Network.LOOPBACK)


def test_a_cluster_survives_its_own_document() -> None:
    for network in Network:
        cluster = make_cluster(network)
        assert parse_cluster(json.dumps(make_document(cluster, reused=True))) == cluster


def test_a_document_of_an_earlier_version_is_still_read() -> None:
    cluster = make_cluster()
    document = json.loads(json.dumps(make_document(cluster, reused=False)))
    document["options"] = {"rate": "200mbit"} | document["options"]
    del document["options"]["rates"], document["options"]["homes"]
    for host in document["hosts"]:
        del host["rate"], host["shares_home"]
    assert parse_cluster(json.dumps(document)) == cluster


def test_the_list_of_processes_survives_its_own_text() -> None:
    running = Running(
        keeper=Process(pid=7, start_ticks=70),
        controller_namespace="/proc/7/fd/9",
        hosts={"worker-0": Process(pid=8, start_ticks=80)},
        faults={"worker-0": ("drop", "fill")},
    )
    assert parse_running(make_running_text(running)) == running


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "dsdeploy.cluster/99"}', '{"keeper": 1}'])
def test_a_text_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ClusterError):
        parse_cluster(text)
    with pytest.raises(ClusterError):
        parse_running(text)


def test_an_unknown_host_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ClusterError) as caught:
        make_cluster().find_host("worker-9")
    assert caught.value.hint == "it has worker-0 to worker-2"


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-x", "x" * 41])
def test_a_name_that_is_not_a_plain_word_is_refused(name: str) -> None:
    with pytest.raises(ClusterError):
        find_folder(Path("/state"), name)


def test_folders_follow_the_xdg_variables_when_they_are_absolute() -> None:
    assert find_state_root({"HOME": "/h"}) == Path("/h/.local/state/dsdeploy-cluster")
    assert find_state_root({"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s/dsdeploy-cluster")
    assert find_cache_root({"HOME": "/h", "XDG_CACHE_HOME": "relative"}) == Path("/h/.cache/dsdeploy-cluster")


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, count=0),
        replace(OPTIONS, count=1001),
        replace(OPTIONS, rates=("fast",)),
        replace(OPTIONS, rates=("10mbit:3",)),
        replace(OPTIONS, homes=("nfs:3",)),
        replace(OPTIONS, homes=("../nfs",)),
        replace(OPTIONS, gpus=("h100x8:3",)),
        replace(OPTIONS, cpus=("avx2:3",)),
        replace(OPTIONS, cpus=("avx1024",)),
    ],
)
def test_options_of_which_no_cluster_can_be_made_are_refused(options: Options) -> None:
    with pytest.raises(ClusterError):
        check_options(options)


def test_gpus_are_chosen_for_all_hosts_or_for_some_and_the_last_word_wins() -> None:
    assert parse_choice("h100x8") == Choice(played="h100x8", hosts=None)
    assert parse_choice("a100x2:0-1,3") == Choice(played="a100x2", hosts=(0, 1, 3))
    choices = [parse_choice("h100x8"), parse_choice("a100x2:1")]
    assert [find_played(choices, index) for index in range(3)] == ["h100x8", "a100x2", "h100x8"]


@pytest.mark.parametrize("text", ["", ":1", "h100x8:", "h100x8:a", "h100x8:1-b"])
def test_a_choice_of_gpus_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ClusterError):
        parse_choice(text)


def test_a_host_that_plays_an_older_cpu_hides_the_newer_instructions_and_nothing_else() -> None:
    real = "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 fma f16c avx512f avx512_vnni sha_ni\nbugs\t\t: x\n"
    assert make_cpuinfo(real, "avx2") == real.replace(" avx512f avx512_vnni", "")
    assert make_cpuinfo(real, "sse4") == real.replace(" avx avx2 fma f16c avx512f avx512_vnni", "")


def test_a_session_of_a_loopback_cluster_is_told_which_cpu_it_plays() -> None:
    options = replace(OPTIONS, cpus=("avx2:1",))
    for network, expected in ((Network.NAMESPACES, [False, False]), (Network.LOOPBACK, [False, True])):
        cluster = make_cluster(network, options)
        texts = [
            config_texts.make_sshd_config(cluster, host, sftp_server="/sftp-server", has_penalties=False)
            for host in cluster.hosts[:2]
        ]
        assert [
            f'"DSDEPLOY_CPUINFO={host.folder}/cpuinfo"' in text
            for host, text in zip(cluster.hosts, texts, strict=False)
        ] == expected
    assert [host.cpu for host in cluster.hosts] == [None, "avx2", None]


def test_hosts_that_share_a_home_have_the_same_one_and_the_others_their_own() -> None:
    cluster = make_cluster(options=replace(OPTIONS, homes=("nfs:0,2",)))
    assert [(host.home, host.shares_home) for host in cluster.hosts] == [
        ("/state/default/homes/nfs", True),
        ("/state/default/hosts/worker-1/home", False),
        ("/state/default/homes/nfs", True),
    ]


def test_a_capture_says_how_many_gpus_it_shows() -> None:
    assert (count_gpus(CAPTURES, "h100x8"), count_gpus(CAPTURES, "a100x2")) == (8, 2)
    with pytest.raises(ClusterError) as caught:
        count_gpus(CAPTURES, "b300x4")
    assert caught.value.hint == "captured: a100x2, h100x8"


HEADER = ["index", "name", "memory.total [MiB]"]
ROWS = [["0", "NVIDIA H100 80GB HBM3", "81559 MiB"]]


@pytest.mark.parametrize(
    ("fields", "form", "expected"),
    [
        (["index", "name"], ["csv", "noheader"], "0, NVIDIA H100 80GB HBM3\n"),
        (["memory.total"], ["csv", "noheader", "nounits"], "81559\n"),
        (["memory.total", "index"], ["csv"], "memory.total [MiB], index\n81559 MiB, 0\n"),
        (["memory.total"], ["csv", "nounits"], "memory.total\n81559\n"),
    ],
)
def test_the_captured_nvidia_smi_answers_in_the_asked_form(fields: list[str], form: list[str], expected: str) -> None:
    with redirect_stdout(io.StringIO()) as said:
        assert fake_nvidia_smi.answer_query(fields, form, HEADER, ROWS) == 0
    assert said.getvalue() == expected


def test_the_captured_nvidia_smi_refuses_a_field_that_nobody_knows() -> None:
    with redirect_stdout(io.StringIO()) as said:
        assert fake_nvidia_smi.answer_query(["foo"], ["csv"], HEADER, ROWS) == 2
    assert said.getvalue().startswith('Field "foo" is not a valid field to query.')


def test_a_processs_name_may_hold_blanks_and_parentheses() -> None:
    text = "42 (a) R (b) S 7 " + " ".join(str(number) for number in range(5, 53))
    assert parse_stat(text) == ("S", 7, 22)


def test_mounts_that_a_host_gets_anew_or_cannot_have_are_left_out() -> None:
    mountinfo = (
        "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:5 / /proc rw - proc proc rw\n"
        "3 1 0:6 / /dev/shm rw shared:1 - tmpfs tmpfs rw\n"
        "4 1 0:7 / /home rw shared:2 - nfs server:/home rw\n"
        "5 1 0:8 / /mnt/a\\040b rw - xfs /dev/vdb rw\n"
        "6 1 0:9 / /net rw - autofs systemd-1 rw\n"
        "7 1 0:10 / /runner rw - xfs /dev/vdc rw\n"
    )
    assert [str(point) for point in find_mount_points(mountinfo)] == ["/", "/home", "/mnt/a b", "/runner"]


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.14", (9, 2)),
        ("OpenSSH_10.0, OpenSSL 3.5", (10, 0)),
        ("Dropbear v2022.83", (0, 0)),
        ("OpenSSH_", (0, 0)),
    ],
)
def test_the_version_of_openssh_is_read_from_its_words(words: str, version: tuple[int, int]) -> None:
    assert parse_openssh_version(words) == version


def test_what_is_missing_is_named_with_the_packages_that_bring_it() -> None:
    missing = find_missing({"sshd": "openssh-server", "ssh": "openssh-client"}, find={"ssh": "/usr/bin/ssh"}.get)
    assert missing == {"sshd": "openssh-server"}
    assert describe_missing(missing).hint == "as root: apt-get install -y openssh-server"


def test_torchs_folder_is_named_for_what_is_in_it() -> None:
    python = Interpreter(executable="/usr/bin/python3", version=(3, 11), can_make_environments=True)
    assert make_folder_name("torch==2.13.0", python) == "torch-2.13.0-cp311"
    assert make_folder_name("torch>=2,<3", python) == "torch-2-3-cp311"


def test_a_copied_environment_says_where_it_is_and_shares_its_packages(tmp_path: Path) -> None:
    template, target = tmp_path / "template", tmp_path / "target"
    package = template / "lib/python3.11/site-packages/pip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (template / "bin").mkdir()
    (template / "bin/python").symlink_to("/usr/bin/python3")
    (template / "bin/pip").write_text(f"#!{template}/bin/python\n")
    (template / "bin/pip").chmod(0o755)
    (template / "pyvenv.cfg").write_text(f"command = python3 -m venv {template}\n")
    (template / ".complete").touch()

    copy_environment(template, target)

    assert (target / "bin/pip").read_text() == f"#!{target}/bin/python\n"
    assert (target / "bin/pip").stat().st_mode & 0o777 == 0o755
    assert str(template) not in (target / "pyvenv.cfg").read_text()
    assert (target / "bin/python").readlink() == Path("/usr/bin/python3")
    copied = target / "lib/python3.11/site-packages/pip/__init__.py"
    assert copied.samefile(package / "__init__.py")
    assert not (target / ".complete").exists()
