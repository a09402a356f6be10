"""How a rollback is drawn: before it, and after."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from report_samples import drawn, failed

from orchestrator.model.deployment import DeploymentResult, HostEnd
from orchestrator.model.history import RestorePlan, RollbackPlan
from orchestrator.model.outcome import Outcome
from orchestrator.model.plan import HostVerdict
from orchestrator.report.documents import rollback_document
from orchestrator.report.tables.rollback import rollback_sum, rollback_summary, rollback_table

OLD, NEW = "0.19.7+torch2.13.cpu", "0.19.8+torch2.13.cpu"
D1, D2, R1 = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb", "20260103T000000Z-cccccc"


def back(host: str, *, version: str | None = OLD) -> RestorePlan:
    reason = f"gets back what deployment {D2} replaced"
    return RestorePlan(
        host=host, verdict=HostVerdict.INSTALL, reason=reason, kept=f"k-{host}", version=version, now=NEW
    )


def kept(host: str) -> RestorePlan:
    return RestorePlan(
        host=host, verdict=HostVerdict.KEEP, reason=f"deployment {D2} did not change it", now="0.19.7+other"
    )


def rejected(host: str) -> RestorePlan:
    return RestorePlan(host=host, verdict=HostVerdict.REJECT, reason="timed out", hint="is sshd up?")


def make_plan(*rows: RestorePlan) -> RollbackPlan:
    return RollbackPlan(undoes=D2, to=D1, hosts=rows)


PLAN = make_plan(*(back(f"worker-{number}") for number in range(64)), kept("extra-1"), rejected("far-1"))


def make_result(*, ends: dict[str, HostEnd], failures: Sequence[Outcome[object]] = ()) -> DeploymentResult:
    return DeploymentResult(deployment=R1, ends=ends, failures=tuple(failures))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 100, 140])
def test_equal_hosts_are_one_row_with_both_versions_and_the_reason(width: int) -> None:
    text = drawn(rollback_table(PLAN), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("worker-[0-63]") == 1
    assert text.index("worker-[0-63]") < text.index("extra-1") < text.index("far-1")


def test_a_plan_says_of_every_host_from_which_version_to_which_and_why() -> None:
    text = words(drawn(rollback_table(PLAN), width=200))
    assert f"worker-[0-63] roll back {NEW} {OLD} gets back what deployment {D2} replaced" in text
    assert f"extra-1 keep 0.19.7+other deployment {D2} did not change it" in text
    assert "far-1 reject timed out hint: is sshd up?" in text
    assert text.endswith("roll back 64 hosts, keep 1 host, reject 1 host")


def test_a_host_that_will_have_no_deepspeed_is_told_so() -> None:
    assert f"roll back {NEW} no DeepSpeed" in words(
        drawn(rollback_table(make_plan(back("a", version=None))), width=200)
    )


def test_a_plan_without_work_says_so_in_a_line() -> None:
    assert rollback_sum(make_plan(kept("a"), kept("b"))) == "nothing to do: keep 2 hosts"


def test_a_rollback_that_went_well_names_its_hosts_and_its_own_deployment() -> None:
    plan = make_plan(back("worker-0"), back("worker-1"), kept("extra-1"))
    result = make_result(ends={"worker-0": HostEnd.NEW, "worker-1": HostEnd.NEW})
    text = drawn(rollback_summary(plan, result, 3.2))
    assert "rolled back  worker-[0-1] (2 hosts)" in text
    assert "kept         extra-1 (1 host)" in text
    assert text.splitlines()[-1] == f"✓ deployment {R1}, 3.2 s"


def test_a_rollback_of_which_nothing_came_says_that_every_host_has_what_it_had() -> None:
    plan = make_plan(back("worker-0"), back("worker-1"))
    ends = {"worker-0": HostEnd.OLD, "worker-1": HostEnd.OLD}
    text = drawn(rollback_summary(plan, make_result(ends=ends, failures=[failed("worker-1", "disk full")]), 3.2))
    assert "failed worker-1 (1 host)" in words(text)
    assert text.splitlines()[-1].startswith("✗ nothing changed: every host has what it had")


def test_a_run_without_work_is_good_and_a_rejected_host_is_not() -> None:
    assert (
        drawn(rollback_summary(make_plan(kept("a")), make_result(ends={}), 0.5)).splitlines()[-1].startswith("✓ noth")
    )
    plan = make_plan(back("worker-0"), rejected("far-1"))
    text = drawn(rollback_summary(plan, make_result(ends={"worker-0": HostEnd.NEW}), 0.5))
    assert text.splitlines()[-1].startswith("✗ ")


def test_the_document_holds_the_plan_and_every_end() -> None:
    result = make_result(
        ends={"worker-0": HostEnd.NEW, "worker-1": HostEnd.UNKNOWN}, failures=[failed("worker-1", "lost")]
    )
    document = rollback_document(PLAN, result, 3.2)
    assert (document["schema"], document["deployment"], document["exit_code"]) == ("dsdeploy.rollback/1", R1, 9)
    assert document["plan"]["schema"] == "dsdeploy.rollback-plan/1"
    assert (document["plan"]["undoes"], document["plan"]["to"], len(document["plan"]["hosts"])) == (D2, D1, 66)
    assert document["ends"] == {"worker-0": "new", "worker-1": "unknown"}
    assert (document["committed"], document["interrupted"]) == (["worker-0"], False)
    assert [failure["host"] for failure in document["failures"]] == ["worker-1"]
