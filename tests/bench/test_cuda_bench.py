"""The parts of `scripts/bench/cuda-build` that need no CUDA: measuring, goals, results, and where it works."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from cudabench.measuring import Cost, descendants_of, measure
from cudabench.phases import PHASES, copy_home, take
from cudabench.preparing import write_recipes
from cudabench.results import GOALS, PhaseResult, Results, load_results
from cudabench.table import print_table
from cudabench.wheel_checks import CheckedWheel
from cudabench.workplace import Interpreter, Workplace, find_interpreter
from rich.console import Console

from orchestrator.config.recipes import load_recipe
from orchestrator.model.recipe import ArchPolicy
from orchestrator.model.toolchain import ToolchainPolicy

GOOD_WHEEL = CheckedWheel(filename="deepspeed.whl", size_bytes=10_700_000, ops=19, gpu_archs=("sm_90",))


def make_result(wall_s: float, *, cpu_s: float = 0.0, wheel: CheckedWheel = GOOD_WHEEL) -> PhaseResult:
    cost = Cost(returncode=0, wall_s=wall_s, cpu_s=cpu_s, peak_process_bytes=10**9, peak_tree_bytes=2 * 10**9)
    return PhaseResult(cost=cost, wheel=wheel)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    interpreter = Interpreter(base=Path(sys.executable), version="3.12", venv=tmp_path / "venv")
    return Workplace(folder=tmp_path, torch="2.11.0", first=interpreter, second=interpreter)


def test_descendants_are_found_however_deep() -> None:
    assert descendants_of(1, {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 5}) == {2, 3, 4}


@pytest.mark.process
def test_a_cost_counts_all_processes_and_tells_the_return_code(tmp_path: Path) -> None:
    worker = "x = bytearray(100_000_000); sum(range(5_000_000)); print('done')"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}], start_new_session=True)"
    program = f"{script}; sys.exit(3)"
    log = tmp_path / "logs" / "phase.log"
    cost = measure([sys.executable, "-c", program], cwd=tmp_path, environment=os.environ, log=log)
    assert (cost.returncode, cost.left_running) == (3, 0)
    assert cost.peak_process_bytes > 100_000_000
    assert cost.cpu_s > 0.05
    assert log.read_text() == "done\n"


@pytest.mark.process
def test_what_a_command_leaves_running_is_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    command = ["sh", "-c", "read _ < end &"]
    cost = measure(command, cwd=tmp_path, environment=os.environ, log=tmp_path / "phase.log")
    assert cost.left_running == 1
    (tmp_path / "end").write_text("\n")


def test_a_goal_is_a_share_of_another_phase_or_seconds() -> None:
    phases = {"upstream": make_result(1350), "ours": make_result(1000, cpu_s=1600), "again": make_result(0.9)}
    phases |= {"second-python": make_result(500, cpu_s=400)}
    measured = {goal.phase: goal.measured(phases) for goal in GOALS}
    assert measured == {
        "ours": pytest.approx(1000 / 1350),
        "again": 0.9,
        "add-op": None,
        "second-python": 0.25,
        "fat": None,
    }
    assert [goal.text for goal in GOALS[:2]] == ["≤ 85% of upstream's wall", "< 2 s"]


def test_every_goal_is_of_phases_that_are_measured() -> None:
    assert {goal.phase for goal in GOALS} | {goal.relative_to for goal in GOALS if goal.relative_to} <= set(PHASES)


def test_results_are_read_back_as_they_were_kept(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", {"memory": "24 GB"})
    results.keep("upstream", make_result(1350, wheel=GOOD_WHEEL))
    results.keep("ours", make_result(1000))
    again = load_results(tmp_path / "results.json", {"memory": "24 GB"})
    assert again.phases == results.phases
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["goals"]["ours"]["measured"] == pytest.approx(1000 / 1350)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"ops": 18}, "18 ops instead of 19"),
        ({"gpu_archs": ("sm_80", "sm_90")}, "code for sm_80, sm_90"),
        ({"gpu_archs": ()}, "code for no GPU"),
        ({"ptx_archs": ("compute_90",)}, "code for sm_90, compute_90"),
        ({"size_bytes": 109_000_000}, "109.0 MB"),
        ({"load_errors": {"gds_op": "ImportError"}}, "gds_op: ImportError"),
    ],
)
def test_a_wheel_that_is_not_as_it_must_be_is_told(changes: dict[str, object], fault: str) -> None:
    values = {"filename": "w.whl", "size_bytes": 10_700_000, "ops": 19, "gpu_archs": ("sm_90",), **changes}
    assert CheckedWheel(**values).faults(("sm_90",)) == [fault]  # type: ignore[arg-type]
    assert GOOD_WHEEL.faults(("sm_90",)) == []


def test_the_table_says_what_was_met_what_was_missed_and_what_is_wrong(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", {"memory": "24 GB"})
    large = CheckedWheel(filename="w.whl", size_bytes=109_000_000, ops=19, gpu_archs=("sm_90",))
    results.phases = {
        "upstream": make_result(1350, wheel=large),
        "ours": make_result(1000, wheel=large),
        "again": make_result(2.5),
    }
    output = io.StringIO()
    print_table(results, Console(file=output, width=200))
    assert "74.1% met" in output.getvalue()
    assert "2.50 s missed" in output.getvalue()
    assert output.getvalue().count("ours: 109.0 MB") == 1
    assert "upstream: 109.0 MB" not in output.getvalue()


def test_no_nvcc_is_on_the_path_and_all_else_of_its_folder_is(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    for program in ("nvcc", "other"):
        (tmp_path / "with" / program).touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'with'}:{tmp_path / 'without'}")
    monkeypatch.setenv("CUDA_HOME", "/usr/local/cuda")
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "7.0")
    environment = place.environment(place.home("ours"))
    pythons, first, second = map(Path, environment["PATH"].split(":"))
    assert [path.name for path in first.iterdir()] == ["other"]
    assert (pythons, second) == (tmp_path / "pythons", tmp_path / "without")
    assert {"CUDA_HOME", "TORCH_CUDA_ARCH_LIST"}.isdisjoint(environment)
    assert environment["XDG_CACHE_HOME"] == str(tmp_path / "homes" / "ours" / "cache")


def test_a_home_takes_over_downloads_and_nothing_else(place: Workplace) -> None:
    cache = place.home("warm") / "cache" / "dsdeploy"
    for name in ("index/file", "ops-v1/key/op.so", "compile-history.json"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text(name)
    take(place.home("warm"), place.home("ours"), ("index", "torch", "compile-history.json"))
    taken = place.home("ours") / "cache" / "dsdeploy"
    assert sorted(path.name for path in taken.iterdir()) == ["compile-history.json", "index"]
    assert (copy_home(place, "ours", "fat") / "cache" / "dsdeploy" / "index" / "file").read_text() == "index/file"


def test_the_recipes_are_ones_that_dsdeploy_reads(place: Workplace) -> None:
    write_recipes(place)
    one, union, small = (load_recipe(str(place.recipe(name)), folders=()) for name in ("all", "union", "small"))
    assert one.toolchain is union.toolchain is ToolchainPolicy.WHEELS
    assert set(one.off) == {"fp_quantizer", "cutlass_ops", "ragged_device_ops", "evoformer_attn"}
    assert union.arch_policy is ArchPolicy.UNION
    assert small.wanted == ("random_ltd",)


@pytest.mark.process
def test_an_interpreter_is_asked_what_it_is(tmp_path: Path) -> None:
    found = find_interpreter(sys.executable, tmp_path)
    assert found.version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.abi_tag == f"cp{sys.version_info.major}{sys.version_info.minor}"
