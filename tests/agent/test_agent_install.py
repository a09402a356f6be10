"""Stage, activate, verify and commit: a real agent, the real pip, tiny wheels, real virtual environments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_client import Refused
from installing import DEEPSPEED_WHEEL, Host

from orchestrator.model.codec import from_document
from orchestrator.model.deployment import ChangeState, HostLedger, Stamp
from orchestrator.model.verification import CheckState

pytestmark = pytest.mark.process


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.agent.hang_up()


def test_staging_tells_what_would_change_and_changes_nothing(host: Host) -> None:
    before = host.names()
    assert host.agent.ask("stage", **host.parameters) == {"changes": ["deepspeed==1.2.3+cpu", "hjson==3.1.0"]}
    assert host.names() == before


def test_a_wheel_goes_in_is_read_back_and_goes_in_again(host: Host) -> None:
    first = host.deploy()
    assert first["version"] == "1.2.3+cpu"
    record = (host.site_packages / "deepspeed-1.2.3+cpu.dist-info" / "RECORD").read_bytes()
    assert first["record_sha256"] == hashlib.sha256(record).hexdigest()
    assert "hjson.py" in host.names()
    (host.site_packages / "deepspeed" / "env_report.py").unlink()
    again = host.deploy()
    assert again["record_sha256"] == first["record_sha256"]
    assert (host.site_packages / "deepspeed" / "env_report.py").exists()
    facts = host.agent.ask("facts", python=str(host.python))
    assert facts["interpreter"]["deepspeed"]["record_sha256"] == first["record_sha256"]
    assert host.parameters["wheel"]["sha256"] in facts["cached_wheels"]


def test_a_wheel_for_another_python_is_refused_in_pip_s_own_words(host: Host) -> None:
    foreign = host.file("deepspeed-1.2.3+cpu-cp27-cp27mu-linux_x86_64.whl", DEEPSPEED_WHEEL)
    with pytest.raises(Refused, match="not a supported wheel on this platform") as refused:
        host.agent.ask("stage", **{**host.parameters, "wheel": foreign})
    assert refused.value.kind == "install"


def test_what_was_inconsistent_before_does_not_stop_an_installation(host: Host) -> None:
    metadata = "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\nRequires-Dist: setuptools>=9999\n"
    host.write({"torch-2.13.0+cpu.dist-info/METADATA": metadata})
    assert "deepspeed==1.2.3+cpu" in host.agent.ask("stage", **host.parameters)["changes"]


@pytest.mark.parametrize("operation", ["stage", "activate"])
def test_a_tampered_wheel_does_not_go_in(host: Host, operation: str) -> None:
    with host.agent.cache.joinpath(host.parameters["wheel"]["path"].partition(":")[2]).open("r+b") as stream:
        stream.write(b"?")
    with pytest.raises(Refused, match="expected sha256") as refused:
        host.agent.ask(operation, **host.parameters)
    assert refused.value.kind == "install"
    assert "deepspeed" not in host.names()


def test_too_little_space_is_told_before_anything_changes(host: Host) -> None:
    with pytest.raises(Refused, match="free") as refused:
        host.agent.ask("stage", **{**host.parameters, "need_bytes": 1 << 60})
    assert refused.value.kind == "install"


def test_an_editable_deepspeed_is_left_alone(host: Host) -> None:
    host.write({"deepspeed-1.0.dist-info/direct_url.json": '{"url": "file:///src", "dir_info": {"editable": true}}'})
    with pytest.raises(Refused, match="editable") as refused:
        host.agent.ask("stage", **host.parameters)
    assert refused.value.hint is not None


def test_another_version_than_promised_is_told(host: Host) -> None:
    with pytest.raises(Refused, match=r"should have DeepSpeed 9\.9"):
        host.agent.ask("activate", **{**host.parameters, "version": "9.9"})


def test_a_missing_interpreter_is_a_host_error(host: Host) -> None:
    with pytest.raises(Refused) as refused:
        host.agent.ask("stage", **{**host.parameters, "python": "/no/such/python"})
    assert refused.value.kind == "host"


def test_pip_s_configuration_on_the_host_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "nonsense")
    host = Host(tmp_path)
    with host.agent:
        host.agent.ask("activate", **host.parameters)
    assert "deepspeed" in host.names()
    assert not (tmp_path / "elsewhere").exists()


def test_every_op_gets_a_state_of_its_own(host: Host) -> None:
    host.has_deepspeed()
    verification = host.verify("good", "empty", "broken", "crash", "jit", "gone", "unknown")
    checks = {check.op: check for check in verification.checks}
    assert {name: check.state for name, check in checks.items()} == {
        "good": CheckState.LOADED,
        "broken": CheckState.FAILED,
        "crash": CheckState.CRASHED,
        "jit": CheckState.FAILED,
        "gone": CheckState.ABSENT,
        "unknown": CheckState.ABSENT,
        "empty": CheckState.FAILED,
    }
    assert "undefined symbol" in checks["broken"].text
    assert checks["empty"].text.startswith("OSError")
    assert "SIGILL" in checks["crash"].text
    assert "wanted to compile" in checks["jit"].text
    assert sorted(event["op"] for event in host.agent.events) == sorted(checks)
    assert not verification.is_good
    assert verification.report is not None
    assert verification.report.installed == {"good": True}


def test_a_hanging_op_does_not_hold_the_others(host: Host) -> None:
    host.has_deepspeed()
    verification = host.verify("hang", "good", timeout_s=1.0)
    assert [check.state for check in verification.checks] == [CheckState.TIMED_OUT, CheckState.LOADED]


def test_an_op_found_outside_the_installation_does_not_count(host: Host, tmp_path: Path) -> None:
    host.has_deepspeed()
    elsewhere = tmp_path / "elsewhere" / "good_op.py"
    elsewhere.parent.mkdir()
    elsewhere.write_text("")
    package = host.site_packages / "deepspeed" / "ops" / "__init__.py"
    package.write_text(f"__path__.insert(0, {str(elsewhere.parent)!r})\n")
    (check,) = host.verify("good").checks
    assert check.state is CheckState.FAILED
    assert str(elsewhere) in check.text


def test_a_deepspeed_that_cannot_be_imported_fails_every_op(host: Host) -> None:
    host.has_deepspeed()
    (host.site_packages / "deepspeed" / "__init__.py").write_text("raise ImportError('libcudart.so.12: cannot open')\n")
    verification = host.verify("good", "broken")
    assert [check.state for check in verification.checks] == [CheckState.FAILED] * 2
    assert all("libcudart.so.12" in check.text for check in verification.checks)
    assert verification.report is None
    assert verification.report_error is not None
    assert "libcudart.so.12" in verification.report_error


def test_another_deepspeed_than_deployed_is_not_verified(host: Host) -> None:
    with pytest.raises(Refused, match="has no DeepSpeed") as refused:
        host.verify("good")
    assert refused.value.kind == "verify"


def test_each_step_is_written_down_and_the_stamp_is_kept_for_its_prefix(host: Host) -> None:
    said = host.agent.ask("activate", **host.parameters)
    pending = host.ledger().pending
    assert pending is not None
    assert (pending.deployment, pending.state) == ("d1", ChangeState.ACTIVATED)
    assert (pending.author, pending.before, pending.after) == ("me@here", None, "1.2.3+cpu")
    host.step("verified")
    host.step("commit")
    host.step("commit")
    ledger = host.ledger()
    assert ledger.pending is None
    assert ledger.stamp == from_document(Stamp, {**host.stamp("d1"), "record_sha256": said["record_sha256"]})
    facts = host.agent.ask("facts", python=str(host.python))
    assert from_document(Stamp, facts["stamp"]) == ledger.stamp
    other = host.agent.ask("facts", python="python3")
    assert other["interpreter"] is None or other["stamp"] is None
    assert list(host.agent.cache.rglob("*.part")) == []


@pytest.mark.parametrize("operation", ["stage", "activate", "verified", "commit", "leave", "undo"])
def test_nothing_is_changed_without_the_host_s_lock(host: Host, operation: str) -> None:
    host.release()
    with pytest.raises(Refused, match="lock") as refused:
        host.agent.ask(operation, **host.parameters, prefix=host.prefix)
    assert refused.value.kind == "locked"


@pytest.mark.parametrize("operation", ["stage", "activate", "verified"])
def test_nothing_is_changed_under_the_lock_of_another_deployment(host: Host, operation: str) -> None:
    with pytest.raises(Refused, match="d2") as refused:
        host.agent.ask(operation, **{**host.parameters, "deployment": "d2"}, prefix=host.prefix)
    assert refused.value.kind == "locked"


def test_an_unfinished_deployment_stops_the_next_one_and_whoever_has_the_lock_may_end_it(host: Host) -> None:
    host.agent.ask("activate", **host.parameters)
    host.restart("d2")
    for operation in ("stage", "activate"):
        with pytest.raises(Refused, match="deployment d1 by me@here did not end") as refused:
            host.agent.ask(operation, **host.parameters)
        assert refused.value.hint is not None
    left = from_document(HostLedger, host.agent.ask("undo", prefix=host.prefix, deployment="d1"))
    assert left == HostLedger(prefix=host.prefix)
    host.deploy()


def test_a_ledger_of_before_tells_its_stamp(host: Host) -> None:
    host.deploy()
    (path,) = (host.agent.cache / "deployments").iterdir()
    document = json.loads(path.read_text())
    path.write_text(json.dumps({"hostname": document["hostname"], "stamp": document["stamp"]}))
    assert host.ledger().stamp == from_document(Stamp, document["stamp"])
    assert host.step("commit") == {}
