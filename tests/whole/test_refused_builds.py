from __future__ import annotations

import re
from pathlib import Path

import pytest
from whole_tool import Controller, MakeCluster, leftovers_on, reach

pytestmark = [pytest.mark.cluster, pytest.mark.build]

RECIPE_TEXT = """\
deepspeed:
  version: 0.19.8
accelerator: cpu
ops:
  want: [{op}]
  require: [{op}]
env:
  {variable}: "{value}"
"""


def test_a_required_op_that_cannot_be_built_ends_the_run_before_anything_is_compiled(
    controller: Controller, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster, recipe = make_cluster(1), tmp_path / "ccl.yaml"
    recipe.write_text(RECIPE_TEXT.format(op="deepspeed_ccl_comm", variable="OMP_NUM_THREADS", value=1))
    answer = controller.run("provision", *reach(cluster), "-r", recipe, "--yes", "--json")
    assert answer.exit_code == 4
    assert "deepspeed_ccl_comm" in answer.document["error"]["message"]
    assert "oneCCL" in answer.document["error"]["message"]
    assert answer.document["error"]["hint"]
    assert not list(controller.logs.rglob("*.log"))


def test_a_failed_build_names_the_op_the_source_file_the_first_error_and_the_log(
    controller: Controller, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster, recipe = make_cluster(1), tmp_path / "broken.yaml"
    recipe.write_text(RECIPE_TEXT.format(op="pin_memory", variable="CXXFLAGS", value="-include /none/such.h"))
    answer = controller.run("provision", *reach(cluster), "-r", recipe, "--yes", "--json")
    assert answer.exit_code == 5
    (failure,) = answer.document["failures"]
    assert failure["exit_code"] == 5
    assert "op pin_memory failed on worker-0" in failure["message"]
    assert "/none/such.h: No such file or directory" in failure["message"]
    assert re.search(r"compiling \S*csrc/\S+\.cpp", failure["message"])
    log = Path(failure["message"].rpartition("log: ")[2])
    assert log.is_relative_to(controller.logs)
    assert "/none/such.h" in log.read_text()
    assert (controller.wheels(), answer.document["committed"]) == ([], [])
    assert leftovers_on(cluster, cluster.hosts[0]) == []
