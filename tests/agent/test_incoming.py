"""Where a wheel's files go, and what a RECORD says of them; no pip."""

from __future__ import annotations

from pathlib import Path

import pytest
from crashing_disk import install
from tiny_wheels import wheel

from orchestrator.agent.errors import AgentError
from orchestrator.agent.incoming import incoming_paths
from orchestrator.agent.record import check_record, compiled_forms, find_metadata, read_record

SCHEME = {"platlib": "/v/lib64", "purelib": "/v/lib", "scripts": "/v/bin", "data": "/v", "headers": "/v/include/site"}
ENTRY_POINTS = (
    "[console_scripts]\nds_report = deepspeed:main\nDS-Elastic=x:y\n[gui_scripts]\ndraw = a:b\n[other]\nno = x:y\n"
)


def test_every_file_of_a_wheel_has_its_place(tmp_path: Path) -> None:
    files = {
        "deepspeed/__init__.py": "",
        "deepspeed-1.data/scripts/ds": "",
        "deepspeed-1.data/data/share/x.txt": "",
        "deepspeed-1.data/headers/x.h": "",
        "deepspeed-1.data/platlib/deepspeed/x.so": "",
        "deepspeed-1.dist-info/entry_points.txt": ENTRY_POINTS,
    }
    path = tmp_path / "deepspeed-1-py3-none-any.whl"
    path.write_bytes(wheel("deepspeed", "1", files))
    found = incoming_paths(str(path), SCHEME)
    names = ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL", "direct_url.json", "entry_points.txt")
    assert sorted({*found}) == sorted(
        [
            "/v/lib/deepspeed/__init__.py",
            "/v/bin/ds",
            "/v/share/x.txt",
            "/v/include/site/deepspeed/x.h",
            "/v/lib64/deepspeed/x.so",
            "/v/bin/ds_report",
            "/v/bin/DS-Elastic",
            "/v/bin/draw",
            *(f"/v/lib/deepspeed-1.dist-info/{name}" for name in names),
        ]
    )


def test_distributions_are_found_by_their_normalised_name(tmp_path: Path) -> None:
    for name in ("Foo_Bar-1.0.dist-info", "foo.bar-2.0-py3.11.egg-info", "foo-1.dist-info", "~oo_bar-1.dist-info"):
        (tmp_path / name).mkdir()
    found = [Path(path).name for path in find_metadata(str(tmp_path), "foo-bar")]
    assert found == ["Foo_Bar-1.0.dist-info", "foo.bar-2.0-py3.11.egg-info"]
    assert find_metadata(str(tmp_path / "missing"), "foo") == []


@pytest.mark.parametrize("damage", ["other", "longer than it was", None])
def test_every_file_is_compared_with_its_record(tmp_path: Path, damage: str | None) -> None:
    install(tmp_path, "foo", "1", {"foo.py": "x = 1", "a,b/c.txt": ""})
    metadata = str(tmp_path / "foo-1.dist-info")
    assert len(check_record(metadata)) == 64
    assert {Path(file.path).name for file in read_record(metadata)} >= {"foo.py", "c.txt", "RECORD"}
    if damage is None:
        (tmp_path / "foo.py").unlink()
    else:
        (tmp_path / "foo.py").write_text(damage)
    with pytest.raises(AgentError, match=r"foo\.py"):
        check_record(metadata)


def test_compiled_forms_are_those_of_every_python_half_written_ones_too(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    ours = {"x.cpython-311.pyc", "x.cpython-38.opt-1.pyc", "x.cpython-311.pyc.140235"}
    for name in {*ours, "xy.cpython-311.pyc", "x.txt"}:
        (tmp_path / "__pycache__" / name).write_text("")
    assert {Path(path).name for path in compiled_forms(str(tmp_path / "x.py"))} == ours
    assert list(compiled_forms(str(tmp_path / "x.so"))) == []
