"""Stage, activate, verify and commit: a real agent, the real pip, tiny wheels, real virtual environments."""

from __future__ import annotations

import hashlib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_client import AgentProcess, Refused
from tiny_wheels import DEEPSPEED, TORCH, pip_wheel, wheel

from orchestrator.model.codec import from_document, to_document
from orchestrator.model.deployment import Stamp
from orchestrator.model.verification import CheckState, Verification

pytestmark = pytest.mark.process

DEEPSPEED_WHEEL = wheel("deepspeed", "1.2.3+cpu", DEEPSPEED, requires=("torch", "hjson", "x; extra == 'dev'"))
HJSON_WHEEL = wheel("hjson", "3.1.0", {"hjson.py": ""})


class Host:
    """A virtual environment with a torch and no pip, an agent, and the bundle in its cache."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.site_packages,) = (folder / "venv").glob("lib/python3.*/site-packages")
        self.write(
            {
                **TORCH,
                "torch-2.13.0+cpu.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n",
            }
        )
        self.agent = AgentProcess(folder)
        self.parameters: dict[str, Any] = {
            "python": str(self.python),
            "version": "1.2.3+cpu",
            "pip": self.file("pip-99-py3-none-any.whl", pip_wheel()),
            "wheel": self.file("deepspeed-1.2.3+cpu-py3-none-any.whl", DEEPSPEED_WHEEL),
            "dependencies": [self.file("hjson-3.1.0-py3-none-any.whl", HJSON_WHEEL)],
            "need_bytes": 1000,
        }

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.site_packages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def file(self, name: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        path = f"cache:wheels/{digest}/{name}"
        self.agent.put(path, content)
        return {"path": path, "sha256": digest, "size": len(content)}

    def has_deepspeed(self) -> None:
        """Put the tiny DeepSpeed there without pip, which takes its time."""
        self.write({**DEEPSPEED, "deepspeed-1.2.3+cpu.dist-info/RECORD": ""})

    def names(self) -> set[str]:
        return {path.name for path in self.site_packages.iterdir()}

    def verify(self, *ops: str, timeout_s: float = 60.0) -> Verification:
        asked = [{"name": op, "module": f"deepspeed.ops.{op}_op"} for op in ops]
        document = self.agent.ask(
            "verify", python=str(self.python), version="1.2.3+cpu", accelerator="cpu", ops=asked, timeout_s=timeout_s
        )
        return from_document(Verification, document)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    with host.agent:
        yield host


def test_staging_tells_what_would_change_and_changes_nothing(host: Host) -> None:
    before = host.names()
    assert host.agent.ask("stage", **host.parameters) == {"changes": ["deepspeed==1.2.3+cpu", "hjson==3.1.0"]}
    assert host.names() == before


def test_a_wheel_goes_in_is_read_back_and_goes_in_again(host: Host) -> None:
    first = host.agent.ask("activate", **host.parameters)
    assert first["version"] == "1.2.3+cpu"
    assert first["location"] == str(host.site_packages)
    record = (host.site_packages / "deepspeed-1.2.3+cpu.dist-info" / "RECORD").read_bytes()
    assert first["record_sha256"] == hashlib.sha256(record).hexdigest()
    assert "hjson.py" in host.names()
    (host.site_packages / "deepspeed" / "env_report.py").unlink()
    again = host.agent.ask("activate", **host.parameters)
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


def test_a_stamp_is_kept_for_its_prefix(host: Host) -> None:
    prefix = host.agent.ask("facts", python=str(host.python))["interpreter"]["prefix"]
    stamp = Stamp(
        deployment="20260101-abc",
        prefix=prefix,
        build_key="k",
        wheel_sha256="s",
        version="1.2.3+cpu",
        record_sha256="r",
        torch_version="2.13.0+cpu",
        committed_at="2026-01-01T00:00:00Z",
        committed_by="me@here",
    )
    assert host.agent.ask("commit", stamp=to_document(stamp)) == {}
    assert from_document(Stamp, host.agent.ask("facts", python=str(host.python))["stamp"]) == stamp
    other = host.agent.ask("facts", python="python3")
    assert other["interpreter"] is None or other["stamp"] is None
    assert list(host.agent.cache.rglob("*.part")) == []
