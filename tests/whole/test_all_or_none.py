"""Deployments that fail, stop or meet each other, judged by the hosts' disks; `scripts/bench/faults` has the matrix."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster_hosts import bring_up, make_environment
from faultsbench.cells import Cell, choose_cells
from faultsbench.controller import Answer, Controller, Started, reach_hosts
from faultsbench.disks import Disk, differences, read_disk, read_wheel
from faultsbench.faults import break_ops
from faultsbench.hosts import HostView, kill
from faultsbench.moments import hold_staging
from faultsbench.running import Ground, make_ready, run_cell
from faultsbench.wheels import build_wheel
from testcluster.state import parse_cluster
from whole_tool import Controller as User

pytestmark = [pytest.mark.cluster, pytest.mark.build]
CELLS = choose_cells(
    ["stage:ctrl-c", "activate:agent", "activate:disk", "verify:sshd", "commit:controller", "rollback:agent"]
)

JOB = """
import mmap, os, sys, time
file = open(sys.argv[1], "rb")
memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print(os.getpid(), flush=True)
time.sleep(900)
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, stocked: User) -> Iterator[Ground]:
    """Three hosts, and two wheels whose ops are compiled already."""
    folder = tmp_path_factory.mktemp("all-or-none")
    up = bring_up(["3", "--cpu", "avx2"], make_environment(folder))
    cluster, controller = parse_cluster(json.dumps(up.document)), Controller(folder=stocked.folder)
    choices = {"first": ("0.19.8", "cpu_adagrad"), "second": ("0.19.8", "cpu_lion")}
    wheels = [build_wheel(folder / name, choice, cluster, controller) for name, choice in choices.items()]
    first, second = map(read_wheel, wheels)
    yield Ground(cluster=cluster, wheels=(first, second), controller=controller, logs=folder / "logs", say=print)
    up.down()


@pytest.fixture
def ground(hosts: Ground) -> Ground:
    """The hosts, all with the same wheel, whole."""
    if not hosts.cluster.is_isolated:
        pytest.skip("loopback hosts have no networks and disks of their own")
    make_ready(hosts)
    return hosts


def test_a_changed_byte_a_file_too_many_and_what_pip_leaves_are_seen_on_a_disk(ground: Ground) -> None:
    view = ground.views[0]
    site = view.site_packages
    edited, added, litter = site / "deepspeed/constants.py", site / "deepspeed/new.py", site / "~eepspeed"
    content = edited.read_bytes()
    edited.write_bytes(content + b"#")
    added.touch()
    litter.mkdir()
    disk = read_disk(view, ground.wheels)
    edited.write_bytes(content)
    added.unlink()
    litter.rmdir()
    assert disk.version is None
    assert [fault.partition(": ")[2].rpartition("/")[2] for fault in disk.faults] == [
        "constants.py",
        "new.py",
        "~eepspeed",
    ]
    assert read_disk(view, ground.wheels).faults == ()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_fault_in_any_step_leaves_all_hosts_with_the_old_one_or_all_with_the_new_one(
    cell: Cell, ground: Ground
) -> None:
    assert run_cell(cell, ground).findings == ()


@contextmanager
def without_ops(view: HostView) -> Iterator[None]:
    """No op can be loaded on the host."""
    end = break_ops(view)
    try:
        yield
    finally:
        end()


def start(ground: Ground, name: str, *options: object) -> Started:
    """Start to push the wheel that the hosts do not have."""
    versions = {disk.version for disk in ground.read(ground.views).values()}
    (new,) = (wheel for wheel in ground.wheels if wheel.version not in versions)
    words = ("push", *reach_hosts(ground.cluster), "--wheel", new.path, "--yes", *options)
    return ground.controller.start(ground.logs / f"{name}.json", *words)


def push(ground: Ground, *options: object) -> tuple[Answer, list[str]]:
    """Push the wheel that the hosts do not have, and return what was said of each host, in order."""
    answer = start(ground, "push", *options).answer()
    assert answer.document is not None, answer.stderr
    return answer, [answer.document["ends"][view.name] for view in ground.views]


def changed(before: Sequence[Disk], ground: Ground) -> list[bool]:
    """Return of each host whether anything in its environment is not, byte for byte, as it was."""
    after = [ground.read([view])[view.name] for view in ground.views]
    assert all(disk.version and disk.ledger.state is None for disk in after), [disk.faults for disk in after]
    return [bool(differences(old.files, new.files)) for old, new in zip(before, after, strict=True)]


@contextmanager
def job_on(view: HostView, ground: Ground) -> Iterator[int]:
    """A program of the host has an op of the installed DeepSpeed mapped; yields its process id there."""
    (library,) = view.site_packages.glob("deepspeed/ops/*/*_op*.so")
    path = Path(view.host.python).parent.parent / library.relative_to(view.environment)
    command = shlex.join([view.host.python, "-c", JOB, str(path)])
    config = str(ground.cluster.folder / "ssh_config")
    with subprocess.Popen(["ssh", "-F", config, view.name, command], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        try:
            yield int(job.stdout.readline())
        finally:
            kill(view.running(JOB.encode()))


def disks(ground: Ground) -> list[Disk]:
    return list(ground.read(ground.views).values())


def test_a_host_that_fails_is_dropped_and_the_others_go_on(ground: Ground) -> None:
    before = disks(ground)
    with without_ops(ground.views[1]):
        answer, ends = push(ground, "--on-failure", "drop-host", "--max-failures", 1)
    assert (answer.exit_code, ends) == (8, ["new", "old", "new"])
    assert changed(before, ground) == [True, False, True]


def test_more_failures_than_allowed_take_all_hosts_back(ground: Ground) -> None:
    before = disks(ground)
    with without_ops(ground.views[0]), without_ops(ground.views[1]):
        answer, ends = push(ground, "--on-failure", "drop-host", "--max-failures", "40%")
    assert (answer.exit_code, ends) == (8, ["old", "old", "old"])
    assert changed(before, ground) == [False, False, False]


def test_a_failed_host_can_be_kept_as_it_is_to_be_looked_at(ground: Ground) -> None:
    before = disks(ground)
    with without_ops(ground.views[2]):
        answer, ends = push(ground, "--on-failure", "keep")
    assert (answer.exit_code, ends) == (8, ["new", "new", "left"])
    assert changed(before, ground) == [True, True, True]
    assert [disk.ledger.stamp_wheel is None for disk in disks(ground)] == [False, False, True]


def test_hosts_after_a_canary_that_fails_are_never_touched(ground: Ground) -> None:
    before = disks(ground)
    with without_ops(ground.views[0]):
        answer, ends = push(ground, "--canary", 1)
    assert (answer.exit_code, ends) == (8, ["old", "old", "old"])
    assert list((answer.document or {})["verifications"]) == ["worker-0"]
    assert changed(before, ground) == [False, False, False]


def test_a_batch_that_fails_takes_the_batches_before_it_back(ground: Ground) -> None:
    before = disks(ground)
    with without_ops(ground.views[1]):
        answer, ends = push(ground, "--batch", 1)
    assert (answer.exit_code, ends) == (8, ["old", "old", "old"])
    assert list((answer.document or {})["verifications"]) == ["worker-0", "worker-1"]
    assert changed(before, ground) == [False, False, False]


def test_a_host_whose_ops_are_in_use_is_refused_before_anything_changes(ground: Ground) -> None:
    before, view = disks(ground), ground.views[1]
    with job_on(view, ground) as pid:
        refused, ends = push(ground)
        assert (refused.exit_code, ends) == (7, ["old", "old", "old"])
        assert f"{pid} " in refused.stderr
        assert changed(before, ground) == [False, False, False]
        assert push(ground, "--even-if-busy")[1] == ["new", "new", "new"]


def test_a_second_controller_is_told_who_was_first_and_changes_nothing(ground: Ground) -> None:
    first = start(ground, "first")
    with hold_staging(first, ground.views[1]):
        second = start(ground, "second").answer()
        assert second.exit_code == 6
        assert f"process {first.process.pid} " in second.stderr
    assert first.answer().exit_code == 0
    assert len({disk.version for disk in disks(ground)}) == 1


def test_of_two_controllers_that_race_one_wins_everywhere(ground: Ground) -> None:
    racing = [start(ground, name) for name in ("one", "other")]
    assert sorted(run.answer().exit_code for run in racing) == [0, 6]
    assert len({disk.version for disk in disks(ground)} - {None}) == 1
