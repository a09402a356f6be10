"""The parts of `scripts/bench/faults` that need no cluster: which cells there are, and who says that one is good."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from faultsbench.cells import CELLS, Cell, Fault, Rest, Side, Step, choose_cells
from faultsbench.controller import Answer
from faultsbench.disks import Disk, File, Wheel, differences
from faultsbench.errors import BenchError
from faultsbench.hosts import Ledger, read_ledger
from faultsbench.judging import Evidence, judge
from faultsbench.results import CellResult, PeerResult, load_results
from faultsbench.table import print_results
from rich.console import Console

OLD, NEW = (Wheel(path=Path(f"deepspeed-{name}-py3.whl"), sha256=name * 8, record={}) for name in ("1.0", "2.0"))
HOSTS = ("worker-0", "worker-1", "worker-2")
LINK = Cell(step=Step.VERIFY, fault=Fault.LINK)
UNDONE = Answer(exit_code=3, stdout=json.dumps({"ends": dict.fromkeys(HOSTS, "old")}), stderr="")
DONE = Answer(exit_code=0, stdout=json.dumps({"ends": dict.fromkeys(HOSTS, "new")}), stderr="")
PLAIN = File(mode=0o644, mtime_ns=1, content="sha256=a")


def disk_with(wheel: Wheel, content: str = "") -> Disk:
    files = {"deepspeed/x.py": replace(PLAIN, content=content or wheel.version)}
    ledger = Ledger(stamp_deployment="d", stamp_wheel=wheel.sha256)
    return Disk(version=wheel.version, files=files, others={}, ledger=ledger)


def all_with(wheel: Wheel) -> dict[str, Disk]:
    return dict.fromkeys(HOSTS, disk_with(wheel))


def evidence(answer: Answer, ended: Mapping[str, Disk], after: Mapping[str, Disk] | None = None) -> Evidence:
    return Evidence(
        old=OLD,
        new=NEW,
        victim=HOSTS[1],
        before=all_with(OLD),
        answer=answer,
        ended=ended,
        rest=Answer(exit_code=0, stdout="{}", stderr=""),
        after=ended if after is None else after,
    )


def test_every_fault_comes_in_every_step_once() -> None:
    assert len({cell.name for cell in CELLS}) == len(CELLS) == 40


def test_every_fault_and_every_step_sees_both_ways_to_rest() -> None:
    for fault in Fault:
        assert {cell.rest for cell in CELLS if cell.fault is fault} == set(Rest)
    for step in Step:
        assert {cell.rest for cell in CELLS if cell.step is step} == set(Rest)


def test_what_is_decided_is_finished_and_everything_before_is_undone() -> None:
    sides = {cell.name: cell.sides for cell in CELLS}
    assert all(sides[f"commit:{fault.value}"] == {Side.NEW} for fault in Fault)
    assert all(sides[f"{step}:{fault.value}"] == {Side.OLD} for fault in Fault for step in ("stage", "rollback"))
    assert sides["verify:op"] == {Side.OLD}


@pytest.mark.parametrize(
    ("names", "count"), [([], 40), (["commit:link"], 1), (["stage:"], 8), ([":pip"], 5), (["stage:", ":pip"], 12)]
)
def test_cells_are_chosen_by_step_by_fault_or_by_both(names: list[str], count: int) -> None:
    assert len(choose_cells(names)) == count


def test_an_unknown_cell_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BenchError, match="no cell build:link: STEP:FAULT, of stage, activate"):
        choose_cells(["build:link"])


def test_a_file_that_differs_in_its_time_alone_differs() -> None:
    before = {"a": PLAIN, "b": PLAIN, "c": PLAIN, "d": PLAIN}
    after = {"a": PLAIN, "b": replace(PLAIN, mtime_ns=2), "c": replace(PLAIN, content="sha256=b"), "e": PLAIN}
    found = ["another mtime_ns: b", "another content: c", "missing: d", "too much: e"]
    assert differences(before, after) == found


def test_a_ledger_tells_what_is_pending_and_what_was_committed() -> None:
    pending = {"deployment": "n", "state": "verified"}
    document = {"stamp": {"deployment": "o", "wheel_sha256": "ab"}, "pending": pending, "kept": [{"id": "k"}]}
    assert read_ledger(document) == Ledger(
        state="verified", deployment="n", stamp_deployment="o", stamp_wheel="ab", kept=("k",)
    )
    assert read_ledger({"hostname": "worker-0", "stamp": None}) == Ledger()


def test_all_old_after_a_failure_that_was_told_is_good() -> None:
    assert judge(LINK, evidence(UNDONE, all_with(OLD))) == ()


def test_all_new_after_a_decision_is_good() -> None:
    assert judge(Cell(step=Step.COMMIT, fault=Fault.LINK), evidence(DONE, all_with(NEW))) == ()


def test_mixed_hosts_are_found() -> None:
    mixed = all_with(OLD) | {"worker-2": disk_with(NEW)}
    found = judge(LINK, evidence(UNDONE, mixed))
    assert "mixed: worker-0 old, worker-1 old, worker-2 new" in found
    assert "at the run's end worker-2 was told as old; it is new, nothing pending in its ledger" in found


def test_an_old_distribution_of_which_one_byte_is_another_is_found() -> None:
    edited = all_with(OLD) | {"worker-0": disk_with(OLD, "edited")}
    assert "at rest worker-0 is not as it was: another content: deepspeed/x.py" in judge(LINK, evidence(UNDONE, edited))


def test_the_wrong_one_of_the_two_is_found() -> None:
    assert "at rest worker-0 is new, which it must not be" in judge(LINK, evidence(DONE, all_with(NEW)))


@pytest.mark.parametrize(("exit_code", "is_good"), [(3, True), (7, True), (0, False), (1, False), (130, False)])
def test_an_exit_code_that_does_not_fit_the_hosts_is_found(exit_code: int, is_good: bool) -> None:  # noqa: FBT001
    found = judge(LINK, evidence(replace(UNDONE, exit_code=exit_code), all_with(OLD)))
    assert (found == ()) is is_good


def test_ctrl_c_ends_with_130() -> None:
    cell = Cell(step=Step.ACTIVATE, fault=Fault.CTRL_C)
    assert judge(cell, evidence(replace(UNDONE, exit_code=130), all_with(OLD))) == ()
    assert judge(cell, evidence(replace(UNDONE, exit_code=7), all_with(OLD))) != ()


def test_a_host_that_is_told_as_unknown_and_could_be_reached_is_found() -> None:
    ends = dict.fromkeys(HOSTS, "old") | {"worker-1": "unknown"}
    answer = Answer(exit_code=9, stdout=json.dumps({"ends": ends}), stderr="")
    reached = {host: disk_with(OLD) for host in ("worker-0", "worker-2")}
    assert judge(LINK, evidence(answer, reached, all_with(OLD))) == ()
    assert judge(LINK, evidence(answer, all_with(OLD))) != ()


def test_what_is_left_pending_or_lying_about_is_found() -> None:
    open_ledger = Ledger(state="verified", deployment="n", stamp_wheel=OLD.sha256)
    left = all_with(OLD) | {"worker-2": replace(disk_with(OLD), ledger=open_ledger, leftovers=("left over: pip-x",))}
    found = judge(LINK, evidence(UNDONE, all_with(OLD), left))
    assert found == ("at rest worker-2 left over: pip-x", "at rest worker-2 has verified in its ledger")


def test_results_are_kept_and_cells_that_ended_well_are_not_lacking(tmp_path: Path) -> None:
    good, bad, *_ = CELLS
    results = load_results(tmp_path / "results.json", 6)
    results.peers.append(
        PeerResult(peer="clush", fault="link cut", exit_code=0, elapsed_s=1, hosts={"worker-0": "old"})
    )
    for cell, findings in ((good, ()), (bad, ("mixed",))):
        results.keep(
            CellResult(cell=cell.name, outcome="old", exit_code=3, rest="recover", elapsed_s=2, findings=findings)
        )
    again = load_results(tmp_path / "results.json", 6)
    assert (again.cells, again.peers) == (results.cells, results.peers)
    assert [again.lacks(cell) for cell in CELLS[:3]] == [False, True, True]
    with pytest.raises(BenchError, match="with 3 hosts"):
        load_results(tmp_path / "results.json", 3)


def test_the_table_shows_what_was_found(tmp_path: Path) -> None:
    results = load_results(tmp_path / "results.json", 6)
    results.keep(
        CellResult(cell="stage:agent", outcome="mixed", exit_code=3, rest="recover", elapsed_s=2, findings=("torn",))
    )
    hosts = {"worker-0": "new", "worker-1": "old", "worker-2": "new"}
    results.peers.append(PeerResult(peer="clush", fault="disk full", exit_code=0, elapsed_s=1, hosts=hosts))
    output = io.StringIO()
    print_results(results, Console(file=output, width=140))
    text = output.getvalue()
    assert "0 of 40 cells are all or none" in text
    assert "stage:agent: torn" in text
    assert "new: 2 hosts; old: worker-1" in text
