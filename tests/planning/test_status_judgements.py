"""How hosts are judged against what was deployed to them: values in, values out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.hosts import make_facts, with_deployment
from fakes.wheels import make_manifest

from orchestrator.errors import ExitCode
from orchestrator.model.deployment import ChangeState, HostEnd, HostLedger, Pending, Stamp
from orchestrator.model.facts import Facts, Gpu, InstalledDeepSpeed
from orchestrator.model.history import Decision, DeploymentKind, DeploymentRecord, HostRecord
from orchestrator.model.outcome import Failure, Outcome, Outcomes
from orchestrator.model.status import ClusterStatus, Condition, DriftKind, HostState
from orchestrator.model.wheels import Artifact, BuildKey, Sha256
from orchestrator.planning.drift import find_drift
from orchestrator.planning.status import StatusInput, judge_status

OLD, NEWER, NEWEST = "20260101T000000Z-a", "20260202T000000Z-b", "20260303T000000Z-c"
VERSION = "0.19.8+torch2.13.cpu"
STAMP = Stamp(
    deployment=NEWER,
    prefix="/opt/venv",
    build_key="key",
    wheel_sha256="wheel",
    version=VERSION,
    record_sha256="record",
    torch_version="2.13.0+cpu",
    committed_at="2026-02-02T00:00:00+00:00",
    committed_by="u@ctl",
)
DEEPSPEED = InstalledDeepSpeed(version=VERSION, location="/opt/venv/lib", record_sha256="record")
GOOD = Condition(
    python="/opt/venv/bin/python",
    ledger=HostLedger(prefix="/opt/venv", stamp=STAMP),
    deepspeed=DEEPSPEED,
    torch_version="2.13.0+cpu",
)
BARE = replace(GOOD, ledger=HostLedger(prefix="/opt/venv"), deepspeed=None)
PENDING = Pending(deployment=NEWEST, state=ChangeState.ACTIVATED, prefix="/opt/venv", author="u@ctl", since="now")


def stamped(**changes: Any) -> Condition:
    return replace(GOOD, ledger=replace(GOOD.ledger, stamp=replace(STAMP, **changes)))


def record(deployment: str, *hosts: str, row: dict[str, Any] | None = None, **changes: Any) -> DeploymentRecord:
    """A deployment that ended well on hosts; `row` says what is different about each of them."""
    values = {"end": HostEnd.NEW, "version": VERSION, "wheel_sha256": "wheel", "prefix": "/opt/venv", **(row or {})}
    rows = tuple(HostRecord(host=host, **values) for host in hosts)
    given = {"kind": DeploymentKind.INSTALL, "started_at": "", "author": "u@ctl", "ended_at": "", **changes}
    return DeploymentRecord(id=deployment, hosts=rows, **given)


def judge(*records: DeploymentRecord, hostfile: tuple[str, ...] = (), **conditions: Condition | None) -> ClusterStatus:
    """The status of hosts by name; None: it could not be asked."""
    failure = Failure(message="refused the connection", exit_code=ExitCode.HOST)
    outcomes = tuple(
        Outcome(host=host, value=value, failure=None if value else failure) for host, value in conditions.items()
    )
    given = StatusInput(hostfile=hostfile or tuple(conditions), outcomes=Outcomes(items=outcomes), records=records)
    return judge_status(given)


def states(status: ClusterStatus) -> dict[str, HostState]:
    return {host.host: host.state for host in status.hosts}


def kinds(status: ClusterStatus, host: str = "a") -> list[DriftKind]:
    return [drift.kind for row in status.hosts if row.host == host for drift in row.drifts]


def test_a_host_as_it_was_deployed_is_the_same() -> None:
    status = judge(record(NEWER, "a"), a=GOOD)
    assert states(status) == {"a": HostState.SAME}
    assert (status.deployment, status.exit_code) == (NEWER, ExitCode.DONE)
    assert (status.hosts[0].deployment, status.hosts[0].version) == (NEWER, VERSION)


@pytest.mark.parametrize(
    ("condition", "kind", "evidence"),
    [
        (replace(GOOD, deepspeed=None), DriftKind.DEEPSPEED, f"DeepSpeed {VERSION} was removed"),
        (replace(GOOD, deepspeed=replace(DEEPSPEED, version="0.15.0")), DriftKind.DEEPSPEED, "and is 0.15.0"),
        (replace(GOOD, deepspeed=replace(DEEPSPEED, record_sha256="x")), DriftKind.DEEPSPEED, "RECORD"),
        (replace(GOOD, edited_files=("deepspeed/a.py",), edited_count=1), DriftKind.FILES, ": deepspeed/a.py"),
        (replace(GOOD, edited_files=tuple("abcde"), edited_count=40), DriftKind.FILES, "a, b, c and 37 more"),
        (replace(GOOD, torch_version="2.12.1"), DriftKind.TORCH, "was 2.13.0+cpu at"),
        (replace(GOOD, torch_version=None), DriftKind.TORCH, "is missing"),
    ],
)
def test_what_changed_under_a_deployment_is_told_with_its_evidence(
    condition: Condition, kind: DriftKind, evidence: str
) -> None:
    status = judge(record(NEWER, "a"), a=condition)
    assert (states(status), kinds(status)) == ({"a": HostState.DRIFTED}, [kind])
    assert evidence in status.hosts[0].drifts[0].text
    assert status.exit_code is ExitCode.PENDING


def test_several_changes_are_all_told() -> None:
    status = judge(record(NEWER, "a"), a=replace(GOOD, deepspeed=None, torch_version=None))
    assert kinds(status) == [DriftKind.DEEPSPEED, DriftKind.TORCH]


def test_gpus_are_compared_by_name_and_number_whatever_their_order() -> None:
    condition = replace(stamped(gpus=("H100", "A100"), driver="550"), gpus=("A100", "H100"), driver="550")
    assert states(judge(record(NEWER, "a"), a=condition)) == {"a": HostState.SAME}
    fewer = judge(record(NEWER, "a"), a=replace(condition, gpus=("H100",)))
    assert kinds(fewer) == [DriftKind.GPUS]
    assert "were 1 x H100, 1 x A100" in fewer.hosts[0].text
    assert kinds(judge(record(NEWER, "a"), a=replace(condition, driver="580"))) == [DriftKind.DRIVER]


def test_a_broken_driver_is_part_of_the_evidence() -> None:
    condition = replace(stamped(gpus=("H100",), driver="550"), notes=("nvidia-smi ended with 18",))
    status = judge(record(NEWER, "a"), a=condition)
    assert kinds(status) == [DriftKind.GPUS]
    assert "are none; nvidia-smi ended with 18" in status.hosts[0].text


def test_a_stamp_that_names_no_gpus_says_nothing_of_them() -> None:
    condition = replace(GOOD, gpus=("H100",), driver="550")
    assert states(judge(record(NEWER, "a"), a=condition)) == {"a": HostState.SAME}


def test_a_pending_deployment_goes_before_all_that_may_be_half() -> None:
    torn = replace(GOOD, ledger=replace(GOOD.ledger, pending=PENDING), deepspeed=None)
    status = judge(record(NEWER, "a"), a=torn)
    assert (states(status), kinds(status)) == ({"a": HostState.PENDING}, [])
    assert "activated" in status.hosts[0].text
    assert status.exit_code is ExitCode.PENDING


def test_a_later_deployment_to_other_hosts_is_no_reason_to_drift() -> None:
    status = judge(record(NEWEST, "b"), record(NEWER, "a"), a=GOOD, b=stamped(deployment=NEWEST))
    assert states(status) == {"a": HostState.SAME, "b": HostState.SAME}
    assert status.deployment == NEWEST


def test_another_wheel_than_the_newest_deployments_is_drift() -> None:
    newest = record(NEWEST, "a", row={"wheel_sha256": "newer wheel"})
    assert kinds(judge(newest, record(NEWER, "a"), a=GOOD)) == [DriftKind.DEPLOYMENT]


def test_the_same_wheel_by_another_deployment_is_the_same() -> None:
    assert states(judge(record(OLD, "a"), a=GOOD)) == {"a": HostState.SAME}


@pytest.mark.parametrize(
    "row", [{"end": HostEnd.OLD}, {"end": None}, {"end": HostEnd.UNKNOWN, "decision": Decision.UNDO}]
)
def test_a_deployment_that_went_back_counts_for_nothing(row: dict[str, Any]) -> None:
    back = record(NEWEST, "a", row={"wheel_sha256": "newer wheel", **row})
    status = judge(back, record(NEWER, "a"), a=GOOD)
    assert (states(status), status.deployment) == ({"a": HostState.SAME}, NEWER)


def test_a_decided_deployment_counts_though_nobody_saw_its_end() -> None:
    decided = record(NEWEST, "a", row={"wheel_sha256": "newer wheel", "end": None, "decision": Decision.COMMIT})
    assert kinds(judge(decided, a=GOOD)) == [DriftKind.DEPLOYMENT]


def test_a_deployment_into_another_interpreter_counts_for_nothing() -> None:
    other = record(NEWEST, "a", row={"wheel_sha256": "newer wheel", "prefix": "/opt/other"})
    assert states(judge(other, record(NEWER, "a"), a=GOOD)) == {"a": HostState.SAME}


def test_a_host_that_forgot_its_deployment_has_drifted() -> None:
    status = judge(record(NEWER, "a"), a=replace(GOOD, ledger=HostLedger(prefix="/opt/venv")))
    assert kinds(status) == [DriftKind.DEPLOYMENT]


def test_what_a_rollback_left_is_compared_by_version() -> None:
    undone = record(NEWEST, "a", row={"wheel_sha256": None, "version": None}, kind=DeploymentKind.ROLLBACK)
    assert states(judge(undone, record(NEWER, "a"), a=BARE)) == {"a": HostState.SAME}
    assert kinds(judge(undone, record(NEWER, "a"), a=replace(BARE, deepspeed=DEEPSPEED))) == [DriftKind.DEPLOYMENT]
    assert kinds(judge(undone, record(NEWER, "a"), a=GOOD)) == [DriftKind.DEPLOYMENT]


def test_what_was_left_to_be_looked_at_has_drifted() -> None:
    left = record(NEWEST, "a", row={"end": HostEnd.LEFT})
    status = judge(left, a=replace(BARE, deepspeed=DEEPSPEED))
    assert kinds(status) == [DriftKind.DEPLOYMENT]
    assert "not committed" in status.hosts[0].text


def test_hosts_are_new_where_neighbours_have_a_deployment_and_never_where_nobody_has() -> None:
    assert states(judge(a=BARE, b=BARE)) == dict.fromkeys("ab", HostState.NEVER)
    assert judge(a=BARE).deployment is None
    status = judge(record(NEWER, "a"), a=GOOD, b=BARE)
    assert states(status) == {"a": HostState.SAME, "b": HostState.NEW}
    assert status.exit_code is ExitCode.PENDING


def test_a_host_that_left_the_hostfile_is_gone_until_the_next_deployment() -> None:
    status = judge(record(NEWER, "a", "b"), a=GOOD)
    assert states(status) == {"a": HostState.SAME, "b": HostState.GONE}
    assert status.exit_code is ExitCode.PENDING
    assert states(judge(record(NEWEST, "a"), record(NEWER, "a", "b"), a=GOOD)) == {"a": HostState.SAME}


def test_a_host_that_was_not_chosen_is_not_gone() -> None:
    assert states(judge(record(NEWER, "a", "b"), hostfile=("a", "b"), a=GOOD)) == {"a": HostState.SAME}


def test_deployments_to_another_hostfile_are_not_ours() -> None:
    status = judge(record(NEWEST, "x", "y"), record(NEWER, "a"), a=GOOD)
    assert (states(status), status.deployment) == ({"a": HostState.SAME}, NEWER)


def test_a_host_that_cannot_be_asked_is_unknown_and_drift_is_the_worse_news() -> None:
    status = judge(record(NEWER, "a", "b"), a=GOOD, b=None)
    assert states(status) == {"a": HostState.SAME, "b": HostState.UNKNOWN}
    assert status.exit_code is ExitCode.HOST
    assert [outcome.host for outcome in status.failures] == ["b"]
    assert judge(record(NEWER, "a", "b"), a=BARE, b=None).exit_code is ExitCode.PENDING


def test_without_a_journal_the_newest_stamp_is_the_last_deployment() -> None:
    newer = stamped(deployment=NEWEST, wheel_sha256="built again")
    status = judge(a=GOOD, b=newer, c=BARE)
    assert states(status) == {"a": HostState.DRIFTED, "b": HostState.SAME, "c": HostState.NEW}
    assert (status.deployment, kinds(status)) == (NEWEST, [DriftKind.DEPLOYMENT])


def test_without_a_journal_hosts_of_another_kind_agree_by_deepspeeds_version() -> None:
    other_kind = {"deployment": NEWEST, "build_key": "other", "wheel_sha256": "other"}
    same = stamped(**other_kind, version="0.19.8+torch2.11.cu130")
    newer = stamped(**other_kind, version="0.20.0+torch2.11.cu130")
    same, newer = (
        replace(each, deepspeed=replace(DEEPSPEED, version=each.ledger.stamp.version))
        for each in (same, newer)
        if each.ledger.stamp
    )
    assert states(judge(a=GOOD, b=same)) == {"a": HostState.SAME, "b": HostState.SAME}
    assert states(judge(a=GOOD, b=newer)) == {"a": HostState.DRIFTED, "b": HostState.SAME}


def test_a_journal_made_of_stamps_is_no_second_witness() -> None:
    learned = record(OLD, "a", row={"wheel_sha256": "older wheel"}, is_from_stamps=True)
    assert states(judge(learned, a=GOOD)) == {"a": HostState.SAME}


ARTIFACT = Artifact(sha256=Sha256("wheel"), filename="d.whl", size_bytes=1, manifest=make_manifest())


@pytest.fixture
def deployed() -> Facts:
    return with_deployment(make_facts(), ARTIFACT)


def reason(facts: Facts) -> str | None:
    return find_drift(facts, BuildKey(ARTIFACT.manifest.build_key), ARTIFACT.sha256)


def test_the_plan_keeps_what_status_finds_the_same(deployed: Facts) -> None:
    assert reason(deployed) is None


def test_the_plan_installs_where_status_finds_drift(deployed: Facts) -> None:
    assert deployed.stamp is not None
    edited = replace(deployed, edited_files=("deepspeed/a.py",))
    assert "edited" in str(reason(edited))
    assert str(reason(replace(deployed, pending=PENDING))).endswith("has not ended here: activated")
    stamp = replace(deployed.stamp, gpus=("H100",), driver="550")
    gpu = Gpu(index=0, name="H100", driver="580")
    assert "driver was 550" in str(reason(replace(deployed, stamp=stamp, gpus=(gpu,))))
    assert "GPUs were 1 x H100" in str(reason(replace(deployed, stamp=stamp)))
