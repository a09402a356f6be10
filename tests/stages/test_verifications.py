from __future__ import annotations

from pathlib import Path

import pytest
from fakes.fleet import FakeFleet, FakeRemote
from fakes.hosts import make_facts, with_deepspeed
from fakes.reporter import FakeReporter
from fakes.wheels import make_manifest, make_signature

from orchestrator.errors import ExitCode, HostError
from orchestrator.model.codec import canonical_json, to_document
from orchestrator.model.facts import Facts
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcomes
from orchestrator.model.signature import Accelerator
from orchestrator.model.verification import CheckState, OpCheck, OpReport, Verification
from orchestrator.model.wheels import OpRecord
from orchestrator.stages.verify import failed_verifications, verify_installed

VERSION = "0.19.8+torch2.13.cpu"
MANIFEST_PATH = f"/opt/venv/lib/deepspeed-{VERSION}.dist-info/dsdeploy.json"
RECORDED = with_deepspeed(
    make_facts(), installed_ops={"cpu_adam": True, "async_io": False, "cpu_lion": True}, accelerator="cpu"
)


def make_remote(facts: Facts = RECORDED, manifest: bytes | None = None) -> tuple[FakeFleet, FakeRemote]:
    fleet = FakeFleet({"worker-0": facts})
    remote = fleet.remotes["worker-0"]
    if manifest is not None:
        remote.files[MANIFEST_PATH] = manifest
    return fleet, remote


def verify_all(fleet: FakeFleet, *, python: str | None = None) -> Outcomes[Verification]:
    return verify_installed([Host(name="worker-0", python=python)], python=None, fleet=fleet, reporter=FakeReporter())


def failure_of(outcomes: Outcomes[Verification]) -> tuple[ExitCode, str]:
    (outcome,) = outcomes.failed
    assert outcome.failure is not None
    return outcome.failure.exit_code, outcome.failure.message


def test_the_manifest_of_the_installed_wheel_says_what_must_load() -> None:
    ops = (
        OpRecord(name="cpu_adam", is_built=True, module="deepspeed.ops.adam.cpu_adam_op"),
        OpRecord(name="async_io", is_built=False, reason="no libaio"),
    )
    fleet, remote = make_remote(manifest=canonical_json(make_manifest(ops=ops)))
    assert not verify_all(fleet).failed
    assert remote.parameters["verify"] == {
        "python": "python3",
        "version": VERSION,
        "accelerator": "cpu",
        "ops": [{"name": "cpu_adam", "module": "deepspeed.ops.adam.cpu_adam_op"}],
        "timeout_s": 120.0,
    }


@pytest.mark.parametrize("manifest", [None, b"{", b"[]", b'{"schema": "dsdeploy.manifest/1"}'])
def test_without_a_readable_manifest_deepspeeds_own_record_says_it(manifest: bytes | None) -> None:
    fleet, remote = make_remote(manifest=manifest)
    assert not verify_all(fleet).failed
    assert remote.parameters["verify"]["ops"] == [
        {"name": "cpu_adam", "module": None},
        {"name": "cpu_lion", "module": None},
    ]


def test_an_accelerator_that_we_do_not_know_is_passed_on_as_it_is() -> None:
    fleet, remote = make_remote(with_deepspeed(make_facts(), installed_ops={"fused_adam": True}, accelerator="xpu"))
    assert not verify_all(fleet).failed
    assert remote.parameters["verify"]["accelerator"] == "xpu"


def test_a_wheel_for_rocm_is_verified_under_deepspeeds_word_for_it() -> None:
    manifest = make_manifest(signature=make_signature(accelerator=Accelerator.ROCM))
    fleet, remote = make_remote(manifest=canonical_json(manifest))
    verify_all(fleet)
    assert remote.parameters["verify"]["accelerator"] == "cuda"


def test_the_interpreter_that_the_hostfile_names_is_the_one_that_is_verified() -> None:
    fleet, remote = make_remote()
    verify_all(fleet, python="/opt/other/python")
    assert remote.parameters["facts"]["python"] == "/opt/other/python"
    assert remote.parameters["verify"]["python"] == "/opt/other/python"


@pytest.mark.parametrize("facts", [make_facts(), make_facts(interpreter=None, interpreter_error="no such file")])
def test_a_host_without_deepspeed_is_a_failure(facts: Facts) -> None:
    fleet, _ = make_remote(facts)
    assert failure_of(verify_all(fleet)) == (
        ExitCode.VERIFY,
        "worker-0: DeepSpeed is not installed in python3",
    )
    assert fleet.asked("verify") == []


def test_a_deepspeed_whose_ops_are_all_compiled_at_first_use_is_a_failure() -> None:
    fleet, _ = make_remote(with_deepspeed(make_facts(), installed_ops={"cpu_adam": False}))
    code, message = failure_of(verify_all(fleet))
    assert code is ExitCode.VERIFY
    assert "no prebuilt op" in message
    assert fleet.asked("verify") == []


def test_a_connection_that_is_lost_is_not_taken_for_a_missing_manifest() -> None:
    fleet, remote = make_remote()
    remote.errors["get"] = HostError("worker-0: connection lost")
    assert failure_of(verify_all(fleet)) == (ExitCode.HOST, "worker-0: connection lost")


def test_facts_that_cannot_be_read_are_the_hosts_failure() -> None:
    fleet, remote = make_remote()
    remote.answers["facts"] = {"system": "?"}
    code, message = failure_of(verify_all(fleet))
    assert code is ExitCode.HOST
    assert message.startswith("worker-0: ")


def test_an_op_that_fails_is_in_the_value_and_asks_for_the_exit_code() -> None:
    fleet, remote = make_remote()
    remote.states = {"cpu_lion": CheckState.CRASHED}
    outcomes = verify_all(fleet)
    assert not outcomes.failed
    (failed,) = failed_verifications(outcomes.values())
    assert failed.host == "worker-0"
    assert failed.failure is not None
    assert failed.failure.exit_code is ExitCode.VERIFY
    assert failed.failure.message == "worker-0: cpu_lion crashed"


def test_an_op_that_fails_on_many_gpus_alike_is_told_once() -> None:
    checks = [OpCheck(op="fused_adam", gpu=gpu, state=CheckState.NO_KERNEL_IMAGE, text="sm_86") for gpu in range(8)]
    checks += [
        OpCheck(op="quantizer", gpu=3, state=CheckState.WRONG),
        OpCheck(op="quantizer", gpu=2, state=CheckState.RAN),
    ]
    (failed,) = failed_verifications({"a": Verification(checks=tuple(checks), report=OpReport())})
    assert failed.failure is not None
    assert failed.failure.message == "a: fused_adam no-kernel-image on GPU [0-7], quantizer wrong on GPU 3"


def test_good_ops_without_a_report_are_not_good() -> None:
    check = OpCheck(op="cpu_adam", state=CheckState.RAN)
    unread = Verification(checks=(check,), report=None, report_error="torch is gone")
    read = Verification(checks=(check,), report=OpReport())
    (failed,) = failed_verifications({"a": unread, "b": read})
    assert failed.failure is not None
    assert failed.failure.message == "a: ds_report could not be read (torch is gone)"


def test_an_answer_that_is_no_verification_is_the_hosts_failure() -> None:
    fleet, remote = make_remote()
    remote.answers["verify"] = {**to_document(Verification(checks=())), "checks": None}
    assert failure_of(verify_all(fleet))[0] is ExitCode.HOST


def test_the_manifest_is_copied_to_a_folder_that_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fleet, _ = make_remote(manifest=canonical_json(make_manifest()))
    assert not verify_all(fleet).failed
    assert list(tmp_path.iterdir()) == []
