"""Reading wheels: crafted ones, with what DeepSpeed's setup.py writes into them."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from fakes.wheels import make_manifest, make_wheel

from orchestrator.audit.wheels import BUILD_RECORD, read_wheel
from orchestrator.errors import StoreError

pytestmark = pytest.mark.process

SETUP_PY_WROTE = b"""version='0.19.8+cpu'
git_hash='unknown'
git_branch='unknown'
installed_ops={'cpu_adam': 1, 'fused_adam': True, 'async_io': False}
accelerator_name='cpu'
torch_info={'version': '2.13', 'bf16_support': False, 'cuda_version': '0.0', 'nccl_version': '0.0'}
"""


@pytest.fixture(scope="module")
def op(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("op")
    command = ["gcc", "-x", "c", "-", "-shared", "-nostdlib", "-o", "op.so"]
    subprocess.run(command, cwd=folder, input=b"", check=True)
    return (folder / "op.so").read_bytes()


def test_all_of_it_is_read(tmp_path: Path, op: bytes) -> None:
    inside = "deepspeed/ops/adam/cpu_adam_op.cpython-311-x86_64-linux-gnu.so"
    wheel = make_wheel(
        tmp_path,
        files={inside: op, BUILD_RECORD: SETUP_PY_WROTE, "deepspeed/__init__.py": b""},
        requires=["torch>=2.0", 'autodoc; extra == "docs"'],
        manifest=make_manifest(),
    )
    contents = read_wheel(wheel)
    assert (contents.name, contents.version) == ("deepspeed", "0.19.8+torch2.13.cpu")
    assert contents.tags == ("cp311-cp311-linux_x86_64",)
    assert contents.requires == ("torch>=2.0", 'autodoc; extra == "docs"')
    assert list(contents.shared_objects) == [inside]
    assert contents.shared_objects[inside].size_bytes == len(op)
    assert contents.installed_ops == {"cpu_adam": True, "fused_adam": True, "async_io": False}
    assert contents.accelerator == "cpu"
    assert contents.torch == {"version": "2.13", "cuda_version": "0.0", "nccl_version": "0.0"}
    assert contents.manifest == make_manifest()


def test_a_foreign_wheel_without_any_record_of_ops_is_read(tmp_path: Path) -> None:
    contents = read_wheel(make_wheel(tmp_path, name="six", version="1.0", tag="py2.py3-none-any"))
    assert contents.tags == ("py2-none-any", "py3-none-any")
    assert (contents.installed_ops, contents.accelerator, contents.manifest) == ({}, None, None)


def test_the_build_record_is_read_not_run(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={BUILD_RECORD: b"installed_ops=__import__('os').environ\n"})
    with pytest.raises(StoreError, match="not a whole wheel"):
        read_wheel(wheel)


def test_a_manifest_of_another_schema_is_no_manifest(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=make_manifest(schema="dsdeploy.manifest/9"))
    assert read_wheel(wheel).manifest is None


def test_an_op_that_is_no_elf_file_is_named(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/op.so": b"text"})
    with pytest.raises(StoreError, match=r"deepspeed/op\.so: no readable ELF"):
        read_wheel(wheel)


def test_a_changed_member_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/a.py": b"right"})
    wheel.write_bytes(_with_member(wheel, "deepspeed/a.py", b"wrong"))
    with pytest.raises(StoreError, match="Hash mismatch"):
        read_wheel(wheel)


def test_a_lost_member_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"deepspeed/a.py": b"right"})
    wheel.write_bytes(_with_member(wheel, "deepspeed/a.py", None))
    with pytest.raises(StoreError, match=r"RECORD names deepspeed/a\.py"):
        read_wheel(wheel)


@pytest.mark.parametrize("name", ["my.whl", "deepspeed-0.1-cp311-cp311-linux_x86_64.whl"])
def test_what_is_no_wheel_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text")
    with pytest.raises(StoreError, match="not a whole wheel"):
        read_wheel(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        read_wheel(tmp_path / "deepspeed-0.1-cp311-cp311-linux_x86_64.whl")


def _with_member(wheel: Path, name: str, content: bytes | None) -> bytes:
    """The wheel's bytes with one member replaced, or left out, and the same RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        members = {member: archive.read(member) for member in archive.namelist() if member != name}
    if content is not None:
        members[name] = content
    target = wheel.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return target.read_bytes()
