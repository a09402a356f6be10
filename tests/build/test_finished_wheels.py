"""How a draft becomes a finished wheel."""

from __future__ import annotations

import time
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest
from build_parts import SIGNATURE
from wheel.wheelfile import WheelFile

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.finishing import finish_wheel, pin_torch
from orchestrator.model.recipe import Source, SourceKind
from orchestrator.model.wheels import BuildKey, Manifest, OpRecord

METADATA = """\
Metadata-Version: 2.4
Name: deepspeed
Version: 0.19.8+x
Requires-Dist: torch>=2.0.0
Requires-Dist: numpy
Requires-Dist: torchembed>=0.1; extra == "torchembed"
Requires-Dist: torch>=2.6; extra == "deepcompile"

Requires-Dist: torch>=2.0.0 is told in the description.
"""
MANIFEST = Manifest(
    build_key=BuildKey("0" * 32),
    signature=SIGNATURE,
    recipe="cpu-training",
    recipe_digest="1" * 64,
    source=Source(kind=SourceKind.VERSION, value="0.19.8"),
    source_sha256="2" * 64,
    deepspeed_version="0.19.8+x",
    ops=(OpRecord(name="cpu_adam", is_built=False, reason="off in the recipe"),),
)
SCRIPT_MODE = 0o100755 << 16


def write_draft(folder: Path, *, at: float) -> Path:
    """Write what setup.py leaves, dated `at`."""
    folder.mkdir()
    draft = folder / "deepspeed-0.19.8+x-cp311-cp311-linux_x86_64.whl"
    with WheelFile(draft, "w") as wheel:
        for name, mode, text in (
            ("deepspeed-0.19.8+x.dist-info/METADATA", 0o100644 << 16, METADATA),
            ("deepspeed-0.19.8+x.dist-info/WHEEL", 0o100644 << 16, "Wheel-Version: 1.0\n"),
            ("deepspeed-0.19.8+x.data/scripts/ds", SCRIPT_MODE, "#!python\n"),
            ("deepspeed/__init__.py", 0o100644 << 16, "\n"),
        ):
            member = ZipInfo(name, date_time=time.gmtime(at)[:6])
            member.external_attr = mode
            wheel.writestr(member, text)
    return draft


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return finish_wheel(write_draft(tmp_path / "draft", at=1.8e9), tmp_path / "finished", MANIFEST)


def test_the_manifest_is_inside_and_every_member_is_in_record(finished: Path) -> None:
    contents = read_wheel(finished)  # checks every member against RECORD
    assert contents.manifest == MANIFEST


def test_torch_is_pinned_to_its_minor_version(finished: Path) -> None:
    requires = read_wheel(finished).requires
    assert "torch==2.13.*" in requires
    assert "torch>=2.0.0" not in requires
    assert "numpy" in requires


def test_scripts_stay_executable(finished: Path) -> None:
    with ZipFile(finished) as wheel:
        assert wheel.getinfo("deepspeed-0.19.8+x.data/scripts/ds").external_attr == SCRIPT_MODE


def test_the_dist_info_comes_last_and_record_is_the_very_last(finished: Path) -> None:
    with ZipFile(finished) as wheel:
        names = wheel.namelist()
    assert [".dist-info/" in name for name in names] == sorted(".dist-info/" in name for name in names)
    assert names[-1].endswith("/RECORD")


def test_equal_contents_give_equal_bytes_whenever_they_were_made(tmp_path: Path) -> None:
    first = finish_wheel(write_draft(tmp_path / "a", at=1.7e9), tmp_path / "b", MANIFEST)
    second = finish_wheel(write_draft(tmp_path / "c", at=1.8e9), tmp_path / "d", MANIFEST)
    assert first.read_bytes() == second.read_bytes()


def test_only_the_unconditional_requirement_of_torch_is_pinned() -> None:
    lines = pin_torch(METADATA, "2.13.0+cpu").split("\n")
    assert lines.count("Requires-Dist: torch==2.13.*") == 1
    assert 'Requires-Dist: torch>=2.6; extra == "deepcompile"' in lines
    assert 'Requires-Dist: torchembed>=0.1; extra == "torchembed"' in lines
    assert lines[-2] == "Requires-Dist: torch>=2.0.0 is told in the description."


def test_a_wheel_without_a_requirement_of_torch_gets_one() -> None:
    assert pin_torch("Name: deepspeed\n\ntext", "2.6.0") == "Name: deepspeed\nRequires-Dist: torch==2.6.*\n\ntext"
