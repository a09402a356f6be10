"""What setup.py is told through its environment, and the programs that prepare a builder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from build_parts import SIGNATURE, file_of, make_order
from tiny_deepspeed import TORCH_VERSION, make_torch_python

from orchestrator.build.environment import build_variables
from orchestrator.build.steps import DRIVERS
from orchestrator.build.tree import top_folder
from orchestrator.errors import BuildError
from orchestrator.model.recipe import BuildStrategy
from orchestrator.model.signature import Accelerator

SKIPPED = {"async_io": "off in the recipe"}


def test_exactly_the_ordered_ops_are_switched_on() -> None:
    variables = build_variables(make_order(skipped=SKIPPED))
    switches = {name: value for name, value in variables.items() if name.startswith("DS_BUILD_") and len(value) == 1}
    assert switches == {
        "DS_BUILD_OPS": "0",
        "DS_BUILD_CPU_ADAM": "1",
        "DS_BUILD_ASYNC_IO": "0",
        "DS_BUILD_PIN_MEMORY": "1",
        "DS_BUILD_NOT_IMPLEMENTED": "1",
    }


def test_the_upstream_strategy_leaves_the_ops_to_ds_build_ops() -> None:
    order = make_order(skipped=SKIPPED)
    variables = build_variables(replace(order, recipe=replace(order.recipe, strategy=BuildStrategy.UPSTREAM)))
    assert variables["DS_BUILD_OPS"] == "1"
    assert variables["DS_BUILD_ASYNC_IO"] == "0"
    assert "DS_BUILD_CPU_ADAM" not in variables


def test_the_recipes_variables_are_there_but_ours_win() -> None:
    order = make_order()
    recipe = replace(order.recipe, environment={"CXX": "g++-13", "DS_ACCELERATOR": "cuda", "PYTHONPATH": "/old"})
    variables = build_variables(replace(order, recipe=recipe))
    assert variables["CXX"] == "g++-13"
    assert variables["DS_ACCELERATOR"] == "cpu"
    assert variables["PYTHONPATH"] == ""


def test_a_cuda_build_names_its_archs_and_a_cpu_build_none() -> None:
    order = make_order()
    signature = replace(SIGNATURE, accelerator=Accelerator.CUDA, torch_cuda="13.0", gpu_archs=("sm_80", "sm_90"))
    assert build_variables(replace(order, signature=signature))["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0"
    assert "TORCH_CUDA_ARCH_LIST" not in build_variables(order)


def make_environment(python: str, *arguments: str, **variables: str) -> str | None:
    """Run the driver and return the torch version that it tells."""
    command = [python, str(DRIVERS / "make_environment.py"), *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1].removeprefix("dsdeploy-result "))  # type: ignore[no-any-return]


def import_torch(environment: Path) -> str:
    done = subprocess.run(
        [environment / "bin/python", "-c", "import torch; print(torch.__file__)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_the_environment_sees_the_targets_torch(tmp_path: Path) -> None:
    python = make_torch_python(tmp_path / "target")
    assert make_environment(python, str(tmp_path / "made")) == TORCH_VERSION
    assert import_torch(tmp_path / "made").startswith(str(tmp_path / "target"))


def test_a_torch_on_pythonpath_is_the_targets_torch(tmp_path: Path) -> None:
    torch = Path(make_torch_python(tmp_path / "modules")).parents[1].glob("lib/python*/site-packages")
    made = make_environment(sys.executable, str(tmp_path / "made"), PYTHONPATH=str(next(torch)))
    assert made == TORCH_VERSION
    assert import_torch(tmp_path / "made").startswith(str(tmp_path / "modules"))


def test_a_folder_that_is_given_comes_before_the_targets_own_packages(tmp_path: Path) -> None:
    python = make_torch_python(tmp_path / "target", torch_version="2.6.0")
    given = next(Path(make_torch_python(tmp_path / "given")).parents[1].glob("lib/python*/site-packages"))
    assert make_environment(python, str(tmp_path / "made"), str(given)) == TORCH_VERSION
    assert import_torch(tmp_path / "made").startswith(str(given))


def test_a_target_without_torch_is_told(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    assert make_environment(str(bare / "bin/python"), str(tmp_path / "made")) is None


def write_archive(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return path


def test_the_top_folder_of_an_archive_is_found(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar", "deepspeed-0.19.8/setup.py", "./deepspeed-0.19.8/csrc/x.cpp")
    assert top_folder(file_of(archive)) == "deepspeed-0.19.8"


def test_an_archive_with_several_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        top_folder(file_of(write_archive(tmp_path / "a.tar", "a/setup.py", "b/setup.py")))
