"""What the real pip replaces comes back, wherever pip or the agent was killed; and what was kept goes in again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_client import Refused
from installing import DEEPSPEED_WHEEL, Host
from tiny_wheels import pip_wheel, zipped

from orchestrator.model.deployment import ChangeState

pytestmark = pytest.mark.process

OLD_DEEPSPEED = {
    "deepspeed/__init__.py": "__version__ = '0.9'\n",
    "deepspeed/ops/__init__.py": "",
    "deepspeed/only_old.py": "x = 1\n",
    "deepspeed-0.9.data/scripts/ds_old": "#!python\n",
    "deepspeed-0.9.dist-info/entry_points.txt": "[console_scripts]\nds_report = deepspeed:main\n",
}
_FATAL = """
import os, signal, sys
_left = [{changes}]
def _count(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    changes = writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
    if changes and str(arguments[0]).startswith(sys.prefix):
        _left[0] -= 1
        if _left[0] == 0:
            os.kill({victim}, signal.SIGKILL)
sys.addaudithook(_count)
"""


def fatal_pip(changes: int, victim: str = "os.getpid()") -> bytes:
    """Return the real pip, with somebody killed in place of the n-th change of the interpreter's folders."""
    with zipfile.ZipFile(io.BytesIO(pip_wheel())) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    main = _FATAL.format(changes=changes, victim=victim).encode() + contents["pip/__main__.py"]
    return zipped({**contents, "pip/__main__.py": main})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host where somebody's pip installed an older DeepSpeed with another hjson, and edited it since."""
    host = Host(tmp_path)
    host.install_without_us(("deepspeed", "0.9", OLD_DEEPSPEED), ("hjson", "2.0", {"hjson.py": "old = 1\n"}))
    host.write({"deepspeed/__init__.py": "__version__ = '0.9'\nedited = True\n", "deepspeed/notes.txt": "mine"})
    yield host
    host.agent.hang_up()


@pytest.mark.parametrize("changes", [2, 9, 30, 55])
def test_pip_killed_in_the_middle_is_undone_byte_for_byte(host: Host, changes: int) -> None:
    before = host.tree()
    host.parameters["pip"] = host.file("pip-99-py3-none-any.whl", fatal_pip(changes))
    with pytest.raises(Refused, match="SIGKILL"):
        host.agent.ask("activate", **host.parameters)
    assert host.tree() != before
    host.restart("d2")
    pending = host.ledger().pending
    assert pending is not None
    assert (pending.state, pending.before) == (ChangeState.ACTIVATING, "0.9")
    left = host.agent.ask("undo", prefix=host.prefix, deployment="d1")
    assert (left["pending"], left["kept"]) == (None, [])
    assert host.tree() == before
    assert list((host.agent.cache / "previous").iterdir()) == []


def test_an_agent_killed_while_pip_works_leaves_the_host_locked_until_pip_ends(host: Host) -> None:
    before = host.tree()
    host.parameters["pip"] = host.file("pip-99-py3-none-any.whl", fatal_pip(9, "os.getppid()"))
    number = host.agent.begin("activate", **host.parameters)
    with pytest.raises(AssertionError, match="the agent ended"):
        host.agent.end(number)
    host.restart("d2")
    record = host.site_packages / "deepspeed-1.2.3+cpu.dist-info" / "RECORD"
    assert record.exists()  # pip went on to its end, and only then the lock was free
    host.agent.ask("undo", prefix=host.prefix, deployment="d1")
    assert host.tree() == before


def test_an_installed_wheel_is_undone_though_it_was_edited_and_used(host: Host) -> None:
    before = host.tree()
    host.agent.ask("activate", **host.parameters)
    host.verify("good")
    host.write({"deepspeed/ops/good_op.py": "edited = True\n"})
    (host.site_packages / "hjson.py").unlink()
    host.step("undo")
    assert host.tree() == before
    host.step("undo")
    assert host.tree() == before


def test_where_nothing_was_there_is_nothing_again(tmp_path: Path) -> None:
    host = Host(tmp_path)
    before = host.tree()
    host.agent.ask("activate", **host.parameters)
    host.step("undo")
    assert host.tree() == before
    host.agent.hang_up()


def test_what_was_replaced_goes_in_again_and_what_that_replaced_too(host: Host) -> None:
    old = host.tree()
    assert "hjson==3.1.0" in host.agent.ask("stage", **host.parameters)["changes"]
    assert host.tree() == old
    new_record = host.deploy()["record_sha256"]
    (kept,) = host.ledger().kept
    assert (kept.version, kept.replaced_by, kept.stamp) == ("0.9", "d1", None)
    host.release()
    host.hold("d2")
    back = {**host.parameters, "way": "kept", "kept": kept.id, "version": "0.9", "stamp": None}
    assert host.agent.ask("stage", **back) == {"changes": ["deepspeed", "hjson"]}
    assert host.deploy(**back) == {"version": "0.9", "record_sha256": kept.record_sha256}
    assert host.tree() == old
    ledger = host.ledger()
    assert ledger.stamp is None
    assert [one.version for one in ledger.kept] == ["1.2.3+cpu", "0.9"]
    forward = ledger.kept[0]
    assert forward.stamp is not None
    host.release()
    host.hold("d3")
    said = host.deploy(way="kept", kept=forward.id)
    assert said == {"version": "1.2.3+cpu", "record_sha256": new_record}
    assert host.verify("good").checks[0].op == "good"


def test_restoring_to_before_the_first_one_takes_deepspeed_out(tmp_path: Path) -> None:
    host = Host(tmp_path)
    before = host.tree()
    host.deploy()
    (kept,) = host.ledger().kept
    said = host.deploy(way="kept", kept=kept.id, version=None, stamp=None)
    assert said == {"version": None, "record_sha256": None}
    assert host.tree() == before
    host.agent.hang_up()


def test_what_was_kept_and_damaged_is_refused_before_anything_changes(host: Host) -> None:
    host.deploy()
    (kept,) = host.ledger().kept
    (host.agent.cache / "previous" / kept.id / "0").write_bytes(b"?")
    before = host.tree()
    for operation in ("stage", "activate"):
        with pytest.raises(Refused, match="byte for byte") as refused:
            host.agent.ask(operation, **{**host.parameters, "way": "kept", "kept": kept.id, "version": "0.9"})
        assert refused.value.kind == "install"
    assert host.tree() == before
    with pytest.raises(Refused, match="is not kept here any more"):
        host.agent.ask("stage", **{**host.parameters, "way": "kept", "kept": "another", "version": "0.9"})


def test_a_host_that_follows_reads_back_what_another_one_put_in(host: Host) -> None:
    record_sha256 = host.deploy()["record_sha256"]
    kept = host.ledger().kept
    before = host.tree()
    following = {**host.parameters, "way": "follow"}
    assert host.agent.ask("stage", **following) == {"changes": []}
    assert host.deploy(way="follow") == {"version": "1.2.3+cpu", "record_sha256": record_sha256}
    assert host.tree() == before
    assert host.ledger().kept == kept
    host.write({"deepspeed/ops/good_op.py": "edited = True\n"})
    with pytest.raises(Refused, match=r"good_op\.py"):
        host.agent.ask("activate", **following)


def test_a_file_that_is_not_what_the_record_says_is_found(host: Host) -> None:
    with zipfile.ZipFile(io.BytesIO(DEEPSPEED_WHEEL)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["deepspeed/ops/good_op.py"] += b"# one more\n"
    name = host.parameters["wheel"]["path"].rpartition("/")[2]
    host.parameters["wheel"] = host.file(name, zipped(contents))
    with pytest.raises(Refused, match=r"good_op\.py") as refused:
        host.agent.ask("activate", **host.parameters)
    assert refused.value.kind == "install"


def test_a_dependency_that_could_not_be_put_back_is_refused_in_stage(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write({"hjson-2.0.egg-info": "Metadata-Version: 1.0\nName: hjson\nVersion: 2.0\n"})
    with pytest.raises(Refused, match="no list of its files") as refused:
        host.agent.ask("stage", **host.parameters)
    assert refused.value.hint is not None
    host.agent.hang_up()


def test_what_was_committed_since_the_plan_was_made_is_not_built_upon(host: Host) -> None:
    host.deploy()
    host.restart("d2")
    with pytest.raises(Refused, match="d1 was committed here since the plan was made"):
        host.agent.ask("stage", **{**host.parameters, "committed": None})
