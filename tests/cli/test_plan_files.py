from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.deployments import make_world

from orchestrator.cli.plan_files import read_plan, write_plan
from orchestrator.errors import UsageError


def test_a_plan_is_read_as_it_was_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    plan = make_world(tmp_path).plan
    (tmp_path / "plans").mkdir()
    write_plan(plan, tmp_path / "plans" / "plan.json")
    write_plan(plan, tmp_path / "plans" / "plan.json")
    assert read_plan(tmp_path / "plans" / "plan.json") == plan
    assert [path.name for path in (tmp_path / "plans").iterdir()] == ["plan.json"]


def test_a_plan_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    plan = make_world(tmp_path).plan
    with pytest.raises(UsageError, match="cannot be written"):
        write_plan(plan, tmp_path / "absent" / "plan.json")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "its schema is None"),
        ('{"schema": "dsdeploy.plan/9"}', "dsdeploy.plan/9"),
        ('{"schema": "dsdeploy.plan/1"}', "recipe: is missing"),
        (b"\xff\xfe", "is not JSON"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_way_out(tmp_path: Path, text: str | bytes | None, complaint: str) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError, match=complaint) as error:
        read_plan(path)
    assert error.value.hint is not None


def test_a_value_of_another_type_is_told_with_its_key(tmp_path: Path) -> None:
    write_plan(make_world(tmp_path).plan, tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    document["hosts"][1]["verdict"] = "explode"
    (tmp_path / "plan.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"hosts\[1\]\.verdict"):
        read_plan(tmp_path / "plan.json")
