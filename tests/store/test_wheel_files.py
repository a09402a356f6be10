"""Reading a wheel that a user gives with `--wheel`."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from fakes.wheels import make_manifest, make_wheel

from orchestrator.errors import StoreError
from orchestrator.store.wheel_files import read_artifact


def repack(wheel: Path, *, leave_out: str = "", append: dict[str, bytes] | None = None) -> None:
    """Write the wheel again with other members, but the same RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != leave_out}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in {**members, **(append or {})}.items():
            archive.writestr(name, content)


def test_a_wheel_of_ours_tells_what_it_is(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=make_manifest())
    artifact = read_artifact(wheel)
    assert artifact.manifest == make_manifest()
    assert artifact.filename == wheel.name
    assert artifact.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert artifact.size_bytes == wheel.stat().st_size


def test_a_wheel_that_others_built_is_refused_with_a_way_out(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with pytest.raises(StoreError) as raised:
        read_artifact(wheel)
    assert str(wheel) in raised.value.message
    assert "dsdeploy build" in str(raised.value.hint)


def test_a_manifest_of_another_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"schema 'dsdeploy\.manifest/9'"):
        read_artifact(make_wheel(tmp_path, manifest=make_manifest(schema="dsdeploy.manifest/9")))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        read_artifact(tmp_path / "deepspeed-1-cp311-cp311-linux_x86_64.whl")


def test_a_file_that_is_no_wheel_is_told(tmp_path: Path) -> None:
    path = tmp_path / "deepspeed-1-cp311-cp311-linux_x86_64.whl"
    path.write_text("no wheel")
    with pytest.raises(StoreError, match="not a whole wheel"):
        read_artifact(path)


def test_a_name_that_is_no_wheel_name_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=make_manifest()).rename(tmp_path / "my.whl")
    with pytest.raises(StoreError, match="not a whole wheel"):
        read_artifact(wheel)


def test_half_a_wheel_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/op.so": b"op" * 5000}, manifest=make_manifest())
    wheel.write_bytes(wheel.read_bytes()[:500])
    with pytest.raises(StoreError, match="not a whole wheel"):
        read_artifact(wheel)


def test_a_member_that_record_does_not_fit_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/op.so": b"right"}, manifest=make_manifest())
    repack(wheel, append={"deepspeed/op.so": b"wrong"})
    with pytest.raises(StoreError, match="Hash mismatch"):
        read_artifact(wheel)


def test_a_member_that_record_lacks_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=make_manifest())
    repack(wheel, append={"deepspeed/more.py": b""})
    with pytest.raises(StoreError, match="No hash found"):
        read_artifact(wheel)


def test_a_member_that_only_record_has_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/op.so": b"op"}, manifest=make_manifest())
    repack(wheel, leave_out="deepspeed/op.so")
    with pytest.raises(StoreError, match=r"RECORD names deepspeed/op\.so"):
        read_artifact(wheel)
