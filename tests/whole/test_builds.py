"""`dsdeploy build` with real compilers: several kinds of hosts, equal bytes, and nothing compiled twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from whole_tool import Answer, Controller, MakeCluster, reach

pytestmark = [pytest.mark.cluster, pytest.mark.build]

OP, EMPTY_OP = "cpu_adagrad", "deepspeed_not_implemented"


def write_recipe(folder: Path, *ops: str, cpu: str = "lowest") -> Path:
    path = folder / f"{'-'.join(ops)}-{cpu}.yaml"
    path.write_text(
        f"deepspeed: {{version: 0.19.8}}\naccelerator: cpu\nops: {{want: [{', '.join(ops)}]}}\ncpu: {cpu}\n"
    )
    return path


def states(answer: Answer) -> list[str]:
    assert answer.exit_code == 0, answer.stderr
    return [wheel["state"] for wheel in answer.document["wheels"]]


def test_one_build_makes_a_wheel_for_each_kind_of_host_and_tells_them_together(
    controller: Controller, make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(2, "--cpu", "sse4:1")  # one of two; the other has AVX2
    words = ("build", *reach(cluster), "-r", write_recipe(tmp_path, EMPTY_OP, cpu="per-level"), "--json")
    first, second = controller.run(*words, "--timings"), controller.run(*words)
    assert (states(first), states(second)) == (["built", "built"], ["stored", "stored"])
    levels = {wheel["signature"]["cpu_level"] for wheel in first.document["wheels"]}
    assert len(levels) == 2
    page = Path(first.document["timings"]).read_text()
    assert all(level in page for level in levels)
    assert len(controller.wheels()) == 2


def test_two_users_who_build_the_same_get_equal_bytes_and_one_more_op_compiles_one_op(
    tmp_path: Path, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(1)
    words = ("build", *reach(cluster), "--json", "-r")
    users = [Controller(folder=tmp_path / name) for name in ("one", "another")]
    built = [user.run(*words, write_recipe(tmp_path, OP)) for user in users]
    assert [states(answer) for answer in built] == [["built"], ["built"]]
    assert len({answer.document["wheels"][0]["sha256"] for answer in built}) == 1
    more = users[0].run(*words, write_recipe(tmp_path, OP, EMPTY_OP))
    assert states(more) == ["built"]
    assert more.document["wheels"][0]["reused_ops"] == [OP]
